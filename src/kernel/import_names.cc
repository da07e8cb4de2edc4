#include "kernel/import_names.h"

#include <algorithm>

namespace cordon::kernel {
namespace {

constexpr std::string_view kCordon[] = {
#define SYSCALL(number, name, parameters, arguments, notes) #name,
#include "kernel/syscalls.def"
#undef SYSCALL
};
constexpr std::string_view kWasi[] = {
#define WASI(name, parameters, names, notes) #name,
#include "kernel/wasi.def"
#undef WASI
};

}  // namespace

bool IsKnownImport(std::string_view module, std::string_view name) {
  if (module == "cordon") return std::ranges::find(kCordon, name) != std::end(kCordon);
  return module == "wasi_snapshot_preview1" && std::ranges::find(kWasi, name) != std::end(kWasi);
}

}  // namespace cordon::kernel
