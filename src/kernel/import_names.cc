#include "kernel/import_names.h"

#include <algorithm>

namespace cordon::kernel {
namespace {

struct CordonRow {
  std::string_view name;
  size_t parameters;
};
constexpr CordonRow kCordon[] = {
#define SYSCALL(number, name, parameters, arguments, notes) {#name, parameters},
#include "kernel/syscalls.def"
#undef SYSCALL
};
struct WasiRow {
  std::string_view name;
  std::string_view parameters;
};
constexpr WasiRow kWasi[] = {
#define WASI(name, parameters, names, notes) {#name, parameters},
#include "kernel/wasi.def"
#undef WASI
};

bool IsOneInteger(std::span<const wasm::ValType> results) {
  return results.size() == 1 && results[0] == wasm::ValType::kI32;
}

ImportMatch MatchIf(bool matches) {
  return matches ? ImportMatch::kMatches : ImportMatch::kOtherType;
}

}  // namespace

bool IsCordonType(size_t parameters, const FunctionType& type) {
  return type.params.size() == parameters && IsOneInteger(type.results) &&
         std::ranges::all_of(type.params, [](auto one) { return one == wasm::ValType::kI32; });
}

bool IsWasiType(std::string_view name, std::string_view parameters, const FunctionType& type) {
  const bool returns = name != "proc_exit";
  return (returns ? IsOneInteger(type.results) : type.results.empty()) &&
         std::ranges::equal(type.params, parameters, [](wasm::ValType have, char letter) {
           return have == (letter == 'I' ? wasm::ValType::kI64 : wasm::ValType::kI32);
         });
}

ImportMatch MatchImport(std::string_view module, std::string_view name, const FunctionType& type) {
  if (module == "cordon") {
    for (const CordonRow& row : kCordon) {
      if (row.name == name) return MatchIf(IsCordonType(row.parameters, type));
    }
  } else if (module == kWasiModule) {
    for (const WasiRow& row : kWasi) {
      if (row.name == name) return MatchIf(IsWasiType(row.name, row.parameters, type));
    }
  }
  return ImportMatch::kUnknown;
}

}  // namespace cordon::kernel
