#ifndef CORDON_WASM_COMPILER_COMPILE_H_
#define CORDON_WASM_COMPILER_COMPILE_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "wasm/compiler/reader.h"
#include "wasm/object.h"

namespace cordon::wasm {

struct CompileOptions {
  Tier tier = Tier::kOptimised;
  CpuLevel cpu_level = CpuLevel::kX8664V2;
  unsigned threads = 1;
  ModuleLimits limits;
  uint64_t code_bytes = uint64_t{256} << 20;
  std::chrono::milliseconds time_limit{0};  // 0: none; checked between partitions
  // Called from any thread, in no order.
  std::function<void(size_t done, size_t total)> progress;
};

// A module's bytes into an object file's bytes. The result does not depend on `threads`.
[[nodiscard]] Result<std::vector<std::byte>> Compile(std::span<const std::byte> module_bytes,
                                                     const CompileOptions& options);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_COMPILE_H_
