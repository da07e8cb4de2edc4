#ifndef CORDON_BACKEND_WASM_FILTER_H_
#define CORDON_BACKEND_WASM_FILTER_H_

// Which system calls a guest process may make. What is not in the table ends the process: nothing
// inside makes such a call by mistake, so it is either a defect or an escape, and both have to be
// seen.

#include <linux/sched.h>

#include <csignal>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::backend {

// The two things that clone may be asked for, as exact flag words.
inline constexpr uint64_t kCloneProcessFlags = CLONE_PARENT | SIGCHLD;
inline constexpr uint64_t kCloneThreadFlags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

struct FilterRule {
  enum Verdict : uint8_t {
    kAllow,       // whatever the arguments
    kAllowEqual,  // if (argument & mask) == value; several rows for a call are alternatives
    kAllowMove,   // mremap of a frozen program into linear memory, of nothing else to nowhere else
    kNotThere,    // ENOSYS: the C library then takes another way
  };
  const char* name;
  int call;
  Verdict verdict;
  uint8_t argument;
  uint64_t mask;
  uint64_t value;
  const char* reason;
};

// The filter of guest processes, of the family init, and of who sends the kicks of copies.
[[nodiscard]] std::span<const FilterRule> GuestRules();
[[nodiscard]] std::span<const FilterRule> FamilyInitRules();
[[nodiscard]] std::span<const FilterRule> KickerRules();
// In addition, for guests of a sandbox that can be forked.
[[nodiscard]] std::span<const FilterRule> ForkRules();

// For the calling thread, which has no_new_privs. Other architectures' numbers (i386, x32) end the
// process too.
[[nodiscard]] Status LoadFilter(std::span<const FilterRule> rules,
                                std::span<const FilterRule> more = {});

// A filter of its own, below the other: from now on the call of ForkRules waits for whoever holds
// the listener, in this process and all its clones. Without no_new_privs it fails.
[[nodiscard]] Result<OwnedFd> ListenForParts();

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_FILTER_H_
