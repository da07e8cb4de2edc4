#ifndef CORDON_WASM_COMPILER_READER_H_
#define CORDON_WASM_COMPILER_READER_H_

#include <cstddef>
#include <span>

#include "base/error.h"
#include "wasm/compiler/module.h"

namespace cordon::wasm {

// What a module may be at most. Beyond it, it is refused with the limit's name.
struct ModuleLimits {
  uint64_t module_bytes = 64u << 20;
  uint32_t functions = 200'000;
  uint32_t types = 4'000;  // structurally distinct (TypeRegistry)
  uint32_t locals = 50'000;
  uint64_t body_bytes = 8u << 20;
  uint32_t params = 1'000;
  uint32_t globals = 100'000;
  uint32_t tables = 100;
  uint32_t table_elements = 10'000'000;
  uint32_t imports_exports = 100'000;
  uint32_t segments = 100'000;
};

// Decodes and validates. Errors name the reason; their place is the byte offset ("0x1f").
[[nodiscard]] Result<Module> ReadModule(std::span<const std::byte> bytes,
                                        const ModuleLimits& limits);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_READER_H_
