#ifndef CORDON_CLI_RUN_PLAN_H_
#define CORDON_CLI_RUN_PLAN_H_

// `cordon run` where a policy decides: plans, and executes that plan and nothing else.

#include <string>
#include <vector>

#include "policy/resolve.h"

namespace CLI {
class App;
}  // namespace CLI

namespace cordon::cli {

struct PlannedRun {
  policy::PlanRequest request;
  std::vector<std::string> environment;  // NAME=VALUE
  std::string hash;                      // of the plan that was seen; empty if any will do
  std::string report;                    // file for a report; empty for none
  std::string foreign_option;            // of the wasm wall, given all the same
  bool verbose = false;
};

enum class Command { kProgram, kScript };

void AddPlanOptions(CLI::App* command, PlannedRun& run);
// A wall other than wasm, a plan or a policy was named, or the project that one is in has a policy
// and a program is to be run.
[[nodiscard]] bool WantsPlan(const PlannedRun& run, Command command);
// The exit status.
[[nodiscard]] int RunPlanned(PlannedRun& run);

}  // namespace cordon::cli

#endif  // CORDON_CLI_RUN_PLAN_H_
