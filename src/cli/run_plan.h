#ifndef CORDON_CLI_RUN_PLAN_H_
#define CORDON_CLI_RUN_PLAN_H_

// `cordon run` where a policy decides: plans, and executes that plan and nothing else.

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/result.h"
#include "policy/resolve.h"

namespace cordon::cli {

class Command;

struct PlannedRun {
  policy::PlanRequest request;
  std::vector<std::string> environment;  // NAME=VALUE
  std::optional<std::string> hash;       // of the plan that was seen; none if any will do
  std::string report;                    // file for a report; empty for none
  std::string foreign_option;            // of the wasm wall, given all the same
  bool verbose = false;
  bool quiet = false;    // no summary, no reasons that the exit status says
  bool dry_run = false;  // only the plan
  bool json = false;     // the result on standard output
};

// NAME=VALUE words to the request's variables.
[[nodiscard]] Status ParseVariables(const std::vector<std::string>& words,
                                    policy::PlanRequest* request);

enum class Input { kProgram, kScript };

// A command that names its profile by itself has no option for it.
enum class Profile { kOption, kNamedOtherwise };
void AddPlanOptions(Command& command, PlannedRun& run, Profile profile = Profile::kOption);
// Which policies count, and how strictly.
void AddPolicyOptions(Command& command, policy::PlanRequest& request);
// A wall other than wasm, a plan or a policy was named, or the project that one is in has a policy
// and a program is to be run.
[[nodiscard]] bool WantsPlan(const PlannedRun& run, Input input);
// The exit status. Prints the result, if it is asked for as JSON.
[[nodiscard]] int RunPlanned(PlannedRun& run);
// The same, where the caller says what came of it.
[[nodiscard]] int RunPlanned(PlannedRun& run, RunOutcome* outcome);

}  // namespace cordon::cli

#endif  // CORDON_CLI_RUN_PLAN_H_
