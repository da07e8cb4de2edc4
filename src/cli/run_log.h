#ifndef CORDON_CLI_RUN_LOG_H_
#define CORDON_CLI_RUN_LOG_H_

#include <string>

#include "backend/backend.h"
#include "policy/plan.h"
#include "policy/surroundings.h"

namespace cordon::cli {

// One line of JSON for each command that was run by a plan: when, what, behind which wall, how it
// ended. In the user's state folder, for the user alone; a run does not fail for want of it.
void AppendRunLog(const policy::Surroundings& around, const policy::Plan& plan,
                  const backend::PlanReport& report);
// The file; empty without a home.
[[nodiscard]] std::string RunLogPath(const policy::Surroundings& around);

}  // namespace cordon::cli

#endif  // CORDON_CLI_RUN_LOG_H_
