// Times one exported function of an object file: best of several runs, in nanoseconds, and its
// result. Usage: engine_bench FILE.cwo KERNEL SCALE RUNS

#include <sys/mman.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "wasm/instance.h"

namespace {

using cordon::wasm::Context;

std::vector<char> ReadFile(const char* path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

int Run(const char* path, const char* kernel, unsigned scale, int runs) {
  const std::vector<char> file = ReadFile(path);
  auto view = cordon::wasm::ParseObject(std::as_bytes(std::span(file)));
  if (!view) {
    std::fprintf(stderr, "%s\n", view.error().ToString().c_str());
    return 1;
  }
  void* image =
      mmap(nullptr, view->image.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::memcpy(image, view->image.data(), view->image.size());
  mprotect(image, view->image.size(), PROT_READ | PROT_EXEC);
  cordon::wasm::Memory memory;
  const auto& record = view->memories[0];
  if (!cordon::wasm::ReserveMemory(record.min_pages, record.max_pages, &memory)) return 1;
  std::vector<std::byte> storage(cordon::wasm::StorageBytes(*view));
  auto registry = std::make_unique<cordon::wasm::TypeRegistry>();
  cordon::wasm::InstanceRequest request;
  request.view = &*view;
  request.image = static_cast<const std::byte*>(image);
  request.storage = storage;
  request.memory = &memory;
  request.registry = registry.get();
  cordon::wasm::InstantiateError error;
  if (Instantiate(request, &error) != cordon::wasm::InstantiateOutcome::kDone) {
    std::fprintf(stderr, "%s\n", error.message.text);
    return 1;
  }
  auto* context = reinterpret_cast<Context*>(storage.data());
  const auto* function = cordon::wasm::FindExportedFunction(context, kernel);
  if (function == nullptr) return 1;
  cordon::wasm::SetMemoryBase(memory.base, cordon::wasm::CanUseWrGsBase());
  double best = 1e30;
  uint64_t slot = 0;
  for (int i = 0; i < runs; ++i) {
    slot = scale;
    const auto begin = std::chrono::steady_clock::now();
    if (Enter(context, *function, &slot, {}) != cordon::wasm::TrapCode::kNone) return 1;
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begin;
    best = std::min(best, time.count());
  }
  std::printf("%.0f %u\n", best, static_cast<unsigned>(slot));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  return Run(argv[1], argv[2], static_cast<unsigned>(std::atoi(argv[3])), std::atoi(argv[4]));
}
