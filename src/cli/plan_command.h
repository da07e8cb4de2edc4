#ifndef CORDON_CLI_PLAN_COMMAND_H_
#define CORDON_CLI_PLAN_COMMAND_H_

#include <functional>

namespace cordon::cli {

class Command;

// `cordon plan -- COMMAND`: what would run, behind which wall, with what, and why; runs nothing.
void AddPlanCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_PLAN_COMMAND_H_
