#ifndef CORDON_WASM_COMPILER_LINK_H_
#define CORDON_WASM_COMPILER_LINK_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"

namespace cordon::wasm {

struct LinkedImage {
  std::vector<std::byte> bytes;  // constants, page boundary, code
  uint64_t code_offset = 0;
  std::unordered_map<std::string, uint32_t> symbols;  // offset in the code
};

// Lays out the code and constants of relocatable objects and applies their relocations. Only
// distances are accepted: an absolute address, a writable section or an undefined symbol is an
// error, since the image must work at any address without being written.
[[nodiscard]] Result<LinkedImage> Link(const std::vector<std::vector<char>>& objects);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_LINK_H_
