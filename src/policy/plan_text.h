#ifndef CORDON_POLICY_PLAN_TEXT_H_
#define CORDON_POLICY_PLAN_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

#include "policy/plan.h"

namespace cordon::policy {

// A plan for people, by sections. `lacks`: what this machine cannot enforce of it. Names of files
// and hosts may be hostile: no control character leaves this function.
[[nodiscard]] std::string PlanText(const Plan& plan, const std::vector<std::string>& lacks);
// What deserves a second look, as a section of it.
[[nodiscard]] std::string AuditText(const std::vector<std::string>& lines);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_PLAN_TEXT_H_
