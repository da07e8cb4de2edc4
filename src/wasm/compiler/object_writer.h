#ifndef CORDON_WASM_COMPILER_OBJECT_WRITER_H_
#define CORDON_WASM_COMPILER_OBJECT_WRITER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "wasm/compiler/link.h"
#include "wasm/compiler/module.h"

namespace cordon::wasm {

struct ObjectIdentity {
  Tier tier;
  CpuLevel cpu_level;
  std::array<uint8_t, 32> module_hash;
};

// The object file of an analysed module and its linked image.
[[nodiscard]] std::vector<std::byte> WriteObject(const Module& module, const LinkedImage& image,
                                                 const ObjectIdentity& identity);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_OBJECT_WRITER_H_
