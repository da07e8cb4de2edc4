#ifndef CORDON_BACKEND_NATIVE_KEEPER_H_
#define CORDON_BACKEND_NATIVE_KEEPER_H_

// The native wall: programs of the host in namespaces of their own. Executes exactly what a plan
// says, or nothing.

#include <string>

#include "base/error.h"
#include "policy/plan.h"

namespace cordon::backend::native {

struct Report {
  enum class End {
    kExited,    // the command ended by itself
    kSignal,    // or by a signal
    kWallTime,  // the keeper ended it
    kCpuTime,   //
    kMemory,    // all processes together took more than the plan's memory
    kNotFound,  // the program is not there, inside
    kNotRun,    // or cannot be executed
  };
  End end = End::kExited;
  int exit_code = 0;   // as a shell sees it: 124, 126, 127, 137, 128 + n, …
  std::string reason;  // one line, if there is more to say
  bool output_dropped = false;
  std::string limits_by;  // what enforces memory and processes: "cgroup v1", "sampling", …
};

// Descriptors 0, 1 and 2 of this process are the command's; SIGINT, SIGTERM, SIGHUP, SIGQUIT,
// SIGUSR1, SIGUSR2 and SIGWINCH go on to it. Nothing survives it, nor this process if that is
// killed. An error means that nothing ran. The caller has one thread.
[[nodiscard]] Result<Report> RunPlan(const policy::Plan& plan);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_KEEPER_H_
