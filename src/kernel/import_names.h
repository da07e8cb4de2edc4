#ifndef CORDON_KERNEL_IMPORT_NAMES_H_
#define CORDON_KERNEL_IMPORT_NAMES_H_

// The names and types of what a guest may import. Linked outside the wall too, so that a module is
// refused before it is started.

#include <cstddef>
#include <span>
#include <string_view>

#include "wasm/abi.h"

namespace cordon::kernel {

inline constexpr std::string_view kWasiModule = "wasi_snapshot_preview1";

struct FunctionType {
  std::span<const wasm::ValType> params;
  std::span<const wasm::ValType> results;
};

enum class ImportMatch { kUnknown, kOtherType, kMatches };
// Whether one of the import modules has a function of this name and this type.
[[nodiscard]] ImportMatch MatchImport(std::string_view module, std::string_view name,
                                      const FunctionType& type);

// The type of a call of module `cordon`: i32 parameters and one i32. A handler writes one slot and
// leaves the others as they are: a result of another type would be a reference of the guest's own
// making.
[[nodiscard]] bool IsCordonType(size_t parameters, const FunctionType& type);
// The type of a row of wasi.def.
[[nodiscard]] bool IsWasiType(std::string_view name, std::string_view parameters,
                              const FunctionType& type);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_IMPORT_NAMES_H_
