// cordon-compile: a WebAssembly module into an object file.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "wasm/compiler/compile.h"

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

int main(int argc, char** argv) {
  using cordon::wasm::CpuLevel;
  using cordon::wasm::Tier;
  cordon::wasm::CompileOptions options;
  std::string input;
  std::string output;
  std::string tier = "optimised";
  std::string cpu = "x86-64-v2";
  bool progress = false;
  CLI::App app("Compiles a WebAssembly module to an object file");
  app.add_option("module", input, "module (.wasm)")->required();
  app.add_option("-o,--output", output, "object file")->required();
  app.add_option("--tier", tier, "how much to optimise")
      ->check(CLI::IsMember({"fast", "optimised"}));
  app.add_option("--cpu", cpu, "CPU level")->check(CLI::IsMember({"x86-64-v2", "x86-64-v3"}));
  app.add_option("-j,--jobs", options.threads, "threads")->check(CLI::Range(1, 64));
  app.add_flag("--progress", progress, "lines \"functions DONE TOTAL\" on standard error");
  CLI11_PARSE(app, argc, argv);
  options.tier = tier == "fast" ? Tier::kFast : Tier::kOptimised;
  options.cpu_level = cpu == "x86-64-v3" ? CpuLevel::kX86_64V3 : CpuLevel::kX86_64V2;
  if (progress) {
    options.progress = [](size_t done, size_t total) {
      std::fprintf(stderr, "functions %zu %zu\n", done, total);
    };
  }
  const cordon::Status status = cordon::wasm::CompileFile(input, output, options);
  if (!status) {
    std::cerr << "cordon-compile: " << status.error().ToString() << "\n";
    return 1;
  }
  return 0;
}
