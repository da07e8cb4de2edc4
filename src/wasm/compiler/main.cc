// cordon-compile: a WebAssembly module into an object file.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <new>
#include <string>
#include <vector>

#include "wasm/compiler/compile.h"
#include "wasm/compiler/service.h"

namespace cordon::wasm {
namespace {

Result<std::vector<std::byte>> ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return SystemError("open(" + path + ")");
  std::vector<char> bytes((std::istreambuf_iterator<char>(stream)), {});
  const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
  return std::vector<std::byte>(begin, begin + bytes.size());
}

Status WriteFile(const std::string& path, const std::vector<std::byte>& bytes) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  stream.close();
  if (!stream) return SystemError("write(" + path + ")");
  return {};
}

Status CompileFile(const std::string& input, const std::string& output,
                   const CompileOptions& options) {
  Result<std::vector<std::byte>> bytes = ReadFile(input);
  if (!bytes) return std::unexpected(bytes.error());
  Result<std::vector<std::byte>> object = Compile(*bytes, options);
  if (!object) {
    Error error = object.error();
    error.place = input + (error.place.empty() ? "" : ":" + error.place);
    return std::unexpected(error);
  }
  return WriteFile(output, *object);
}

}  // namespace
}  // namespace cordon::wasm

namespace {

int Run(int argc, char** argv) {
  using cordon::wasm::CpuLevel;
  using cordon::wasm::Tier;
  cordon::wasm::CompileOptions options;
  std::string input;
  std::string output;
  std::string tier = "optimised";
  std::string cpu = "x86-64-v2";
  bool progress = false;
  uint32_t time_limit_s = 0;
  cordon::wasm::ServiceOptions service;
  CLI::App app("Compiles a WebAssembly module to an object file");
  app.add_option("module", input, "module (.wasm)");
  app.add_option("-o,--output", output, "object file");
  app.add_option("--tier", tier, "how much to optimise")
      ->check(CLI::IsMember({"fast", "optimised"}));
  app.add_option("--cpu", cpu, "CPU level")->check(CLI::IsMember({"x86-64-v2", "x86-64-v3"}));
  app.add_option("-j,--jobs", options.threads, "threads")->check(CLI::Range(1, 64));
  app.add_flag("--progress", progress, "lines \"functions DONE TOTAL\" on standard error");
  app.add_option("--time-limit", time_limit_s, "seconds after which it gives up");
  app.add_option("--module-fd", service.module_fd,
                 "service mode: compile the module on this descriptor, locked in");
  app.add_option("--object-fd", service.object_fd, "service mode: where the object goes");
  app.add_option("--progress-fd", service.progress_fd, "service mode: where progress goes");
  CLI11_PARSE(app, argc, argv);
  options.time_limit = std::chrono::seconds(time_limit_s);
  options.tier = tier == "fast" ? Tier::kFast : Tier::kOptimised;
  options.cpu_level = cpu == "x86-64-v3" ? CpuLevel::kX8664V3 : CpuLevel::kX8664V2;
  if (progress) {
    options.progress = [](size_t done, size_t total) {
      std::fprintf(stderr, "functions %zu %zu\n", done, total);
    };
  }
  const bool as_service = service.module_fd >= 0 && service.object_fd >= 0;
  if (!as_service && (input.empty() || output.empty())) {
    std::cerr << "cordon-compile: a module and -o FILE, or --module-fd and --object-fd\n";
    return 2;
  }
  const cordon::Status status = as_service ? cordon::wasm::RunService(service, options)
                                           : cordon::wasm::CompileFile(input, output, options);
  if (!status) {
    std::cerr << "cordon-compile: " << status.error().ToString() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("cordon-compile: limit: out of memory\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cordon-compile: %s\n", error.what());
  }
  return 1;
}
