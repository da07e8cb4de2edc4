// The template in which one call runs native code: sethostname, whose name is the piece's.

#include "backend/wasm/template_entry.h"
#include "escape/fork_attempts.h"
#include "kernel/guest_memory.h"
#include "kernel/syscall.h"

namespace {

// What a guest reads is the errno of a call that failed, so a result above 0 says what was found.
int64_t SysAttempt(const uint64_t* slots) {
  char name[64];
  const int32_t size = cordon::kernel::CopyString(name, cordon::kernel::Arg(slots, 0), sizeof name);
  if (size < 0) return size;
  const int64_t found = cordon::escape::ForkAttempt(name);
  return found == 0 ? 0 : found > 0 && found < 0x80000000 ? -1 : -2;
}

constexpr cordon::kernel::CallRow kRows[] = {{"sethostname", SysAttempt}};

}  // namespace

int main() {
  cordon::kernel::AddModule("cordon", {kRows, 1});
  cordon::backend::RunTemplate();
}
