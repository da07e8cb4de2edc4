#ifndef CORDON_CLI_SHELL_COMMAND_H_
#define CORDON_CLI_SHELL_COMMAND_H_

// `cordon shell`: an interactive shell behind the wall that the policy chooses, with what its
// default profile gives. (`cordon sh` is bash of the wasm wall.)

#include <functional>

namespace cordon::cli {

class Command;

void AddExecCommand(Command& app, std::function<int()>* chosen);
void AddProjectShellCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_SHELL_COMMAND_H_
