#ifndef CORDON_POLICY_RESOLVE_H_
#define CORDON_POLICY_RESOLVE_H_

// From a command and the policies that are found to a Plan. Reads files, runs nothing, writes
// nothing, asks no network.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/layer.h"
#include "policy/plan.h"
#include "policy/surroundings.h"

namespace cordon::policy {

// What the caller's command line says; empty is what the policies say.
struct PlanRequest {
  std::vector<std::string> argv;
  std::string config;
  std::string policy;  // the user's own, instead of the one in his configuration folder
  std::string mode;    // "host" or "sandbox", instead of the profile's
  std::string workspace;
  std::string profile;
  std::string manager;  // whose preset counts where that is the command's
  std::string wall;
  std::string image;
  bool strict = false;
  bool shadow = false;  // the command works on a view of the workspace, whatever the policy
  bool without_network = false;  // whatever the policy
  std::vector<std::pair<std::string, std::string>> environment;
};

struct Planned {
  // Nothing if the policies cannot be read or nothing can be resolved; then `errors` says why.
  std::optional<Plan> plan;
  std::vector<Error> errors;
  // The project's layer, and the approvals that would make the plan whole.
  std::optional<Layer> project;
  std::vector<Approval> needed;
};

[[nodiscard]] Planned MakePlan(const PlanRequest& request, const Surroundings& around);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_RESOLVE_H_
