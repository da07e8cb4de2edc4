#ifndef CORDON_POLICY_PLAN_AUDIT_H_
#define CORDON_POLICY_PLAN_AUDIT_H_

// What of a plan deserves a second look before it is run or approved.

#include <string>
#include <vector>

#include "policy/plan.h"

namespace cordon::policy {

// A line for each thing that the command may do beyond reading its workspace, and for what is not
// decided by the plan; the gravest first, nothing if there is none. Names may be hostile.
[[nodiscard]] std::vector<std::string> AuditPlan(const Plan& plan);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_PLAN_AUDIT_H_
