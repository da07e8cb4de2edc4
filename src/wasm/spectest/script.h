#ifndef CORDON_WASM_SPECTEST_SCRIPT_H_
#define CORDON_WASM_SPECTEST_SCRIPT_H_

#include <string>
#include <vector>

#include "wasm/object.h"

namespace cordon::wasm {

struct ScriptResult {
  uint64_t passed = 0;
  uint64_t failed = 0;
  std::vector<std::string> failures;  // "file:line: what"
  std::vector<std::string> skipped;   // with the reason
};

// Runs one .wast file.
[[nodiscard]] ScriptResult RunScript(const std::string& path, Tier tier);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_SPECTEST_SCRIPT_H_
