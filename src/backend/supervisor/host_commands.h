#ifndef CORDON_BACKEND_SUPERVISOR_HOST_COMMANDS_H_
#define CORDON_BACKEND_SUPERVISOR_HOST_COMMANDS_H_

#include <optional>

#include "backend/backend.h"
#include "base/error.h"
#include "policy/plan.h"

namespace cordon::backend {

// What the plan runs on the host before its command, one after the other: in the workspace, with
// this process's variables and streams, found in its PATH. A plan has such commands only where the
// user's own policy or an approval says so. The report of the first that fails, which is then the
// run's; nothing if all went well.
[[nodiscard]] std::optional<PlanReport> RunHostCommands(const policy::Plan& plan);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_SUPERVISOR_HOST_COMMANDS_H_
