#ifndef CORDON_BACKEND_NATIVE_KEEPER_H_
#define CORDON_BACKEND_NATIVE_KEEPER_H_

// The native wall: programs of the host in namespaces of their own. Executes exactly what a plan
// says, or nothing.

#include "backend/backend.h"

namespace cordon::backend::native {

using Report = PlanReport;
using RunRequest = PlanRun;

// Descriptors 0, 1 and 2 of this process are the command's; SIGINT, SIGTERM, SIGHUP, SIGQUIT,
// SIGUSR1, SIGUSR2 and SIGWINCH go on to it. Nothing survives it, nor this process if that is
// killed. An error means that nothing ran. The caller has one thread.
[[nodiscard]] Result<Report> RunPlan(const RunRequest& request);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_KEEPER_H_
