#ifndef CORDON_WASM_SPECTEST_WAT_H_
#define CORDON_WASM_SPECTEST_WAT_H_

#include <cstddef>
#include <string>
#include <vector>

namespace cordon::wasm {

// The bytes of a module in text format, for tests; empty if it does not parse.
[[nodiscard]] std::vector<std::byte> AssembleText(const std::string& text);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_SPECTEST_WAT_H_
