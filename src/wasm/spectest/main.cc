// cordon-spectest: runs scripts of the official WebAssembly test suite on Cordon's engine.

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <thread>
#include <vector>

#include "wasm/spectest/script.h"
#include "wasm/spectest/store.h"

namespace {

int Run(int argc, char** argv) {
  std::vector<std::string> files;
  std::string tier_name = "optimised";
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
  bool verbose = false;
  CLI::App app("Runs .wast scripts of the WebAssembly test suite");
  app.add_option("files", files, "scripts")->required();
  app.add_option("--tier", tier_name, "how much to optimise")
      ->check(CLI::IsMember({"fast", "optimised"}));
  app.add_option("-j,--jobs", jobs, "scripts at a time")->check(CLI::Range(1, 64));
  app.add_flag("-v,--verbose", verbose, "a line for each script");
  CLI11_PARSE(app, argc, argv);
  using cordon::wasm::Tier;
  const Tier tier = tier_name == "fast" ? Tier::kFast : Tier::kOptimised;
  cordon::wasm::InstallFaultHandler();

  std::vector<cordon::wasm::ScriptResult> results(files.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < files.size(); i = next++) {
      results[i] = cordon::wasm::RunScript(files[i], tier);
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(jobs);
  for (unsigned i = 0; i < jobs; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();

  uint64_t passed = 0;
  uint64_t failed = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    const cordon::wasm::ScriptResult& result = results[i];
    passed += result.passed;
    failed += result.failed;
    for (const std::string& line : result.failures) std::cout << "FAILED " << line << "\n";
    for (const std::string& line : result.skipped) std::cout << "skipped " << line << "\n";
    if (verbose) {
      std::cout << files[i] << ": " << result.passed << " passed, " << result.failed << " failed\n";
    }
  }
  std::cout << passed << " passed, " << failed << " failed\n";
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("cordon-spectest: limit: out of memory\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cordon-spectest: %s\n", error.what());
  }
  return 1;
}
