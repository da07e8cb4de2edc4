#ifndef CORDON_CLI_RUN_COMMAND_H_
#define CORDON_CLI_RUN_COMMAND_H_

#include <functional>

namespace CLI {
class App;
}  // namespace CLI

namespace cordon::cli {

// `cordon run` and `cordon sh`: their options, and what runs when one of them was given. The
// function returns the exit status.
void AddRunCommand(CLI::App& app, std::function<int()>* chosen);
void AddShellCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_RUN_COMMAND_H_
