#ifndef CORDON_CLI_INIT_COMMAND_H_
#define CORDON_CLI_INIT_COMMAND_H_

#include <functional>

namespace cordon::cli {

class Command;

// `cordon init`: a cordon.yaml for this project, or the user's own policy.
void AddInitCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_INIT_COMMAND_H_
