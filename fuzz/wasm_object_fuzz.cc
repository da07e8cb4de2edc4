// Object bytes -> refused, or a view that can be followed and instantiated without leaving it.

#include <cstring>
#include <vector>

#include "wasm/instance.h"

namespace {

using namespace cordon::wasm;  // NOLINT(google-build-using-namespace)

ImportOutcome FindNothing(void* /*cookie*/, const ImportRequest& /*request*/,
                          ImportValue* /*value*/) {
  return ImportOutcome::kUnknown;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Aligned, as a mapping is.
  std::vector<uint64_t> aligned(size / 8 + 1);
  std::memcpy(aligned.data(), data, size);
  const auto* bytes = reinterpret_cast<const std::byte*>(aligned.data());
  ObjectView view;
  ErrorText error;
  if (!ParseObject({bytes, size}, &view, &error)) return 0;
  if (StorageBytes(view) > (1 << 22)) return 0;
  static TypeRegistry registry;
  registry.Clear();
  static std::byte pages[kPageSize];
  Memory memory = {pages, sizeof pages, sizeof pages, 0, 1};
  std::vector<std::byte> storage(StorageBytes(view));
  InstanceRequest request;
  request.view = &view;
  request.image = pages;
  request.storage = storage;
  request.memory = &memory;
  request.registry = &registry;
  request.resolver.resolve = FindNothing;
  InstantiateError instantiate_error;
  static_cast<void>(Instantiate(request, &instantiate_error));
  return 0;
}
