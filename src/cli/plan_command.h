#ifndef CORDON_CLI_PLAN_COMMAND_H_
#define CORDON_CLI_PLAN_COMMAND_H_

#include <functional>

namespace CLI {
class App;
}  // namespace CLI

namespace cordon::cli {

// `cordon plan -- COMMAND`: what would run, behind which wall, with what, and why; runs nothing.
void AddPlanCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_PLAN_COMMAND_H_
