#ifndef CORDON_BASE_PROCESSORS_H_
#define CORDON_BASE_PROCESSORS_H_

// Where a process runs that is to do something beside the one that starts it. A kernel may begin it
// where its parent runs, and have it wait for that one.

#include <sched.h>
#include <sys/types.h>

namespace cordon {

// Those that the caller may run on; what it starts later inherits it. Empty if they cannot be had.
[[nodiscard]] inline cpu_set_t AllowedProcessors() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) CPU_ZERO(&allowed);
  return allowed;
}

// Of them any but the caller's, for `process`; where there is no other, nothing.
inline void MoveAway(pid_t process, cpu_set_t allowed) {
  const int here = sched_getcpu();
  if (here < 0) return;
  CPU_CLR(here, &allowed);
  if (CPU_COUNT(&allowed) > 0) (void)sched_setaffinity(process, sizeof allowed, &allowed);
}

// The caller may run on all of them again.
inline void MoveAnywhere(cpu_set_t allowed) {
  if (CPU_COUNT(&allowed) > 0) (void)sched_setaffinity(0, sizeof allowed, &allowed);
}

}  // namespace cordon

#endif  // CORDON_BASE_PROCESSORS_H_
