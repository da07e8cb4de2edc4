// The template with one import more: a guest runs native code. See attempts.h.

#include "backend/wasm/template_entry.h"
#include "escape/attempts.h"
#include "kernel/guest_memory.h"
#include "kernel/syscall.h"

namespace {

int64_t SysAttempt(const uint64_t* slots) {
  char name[64];
  const int32_t size = cordon::kernel::CopyString(name, cordon::kernel::Arg(slots, 0), sizeof name);
  return size < 0 ? size : cordon::escape::Attempt(name);
}

constexpr cordon::kernel::CallRow kRows[] = {{"attempt", SysAttempt}};

}  // namespace

int main() {
  cordon::kernel::AddModule("escape", {kRows, 1});
  cordon::backend::RunTemplate();
}
