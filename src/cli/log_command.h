#ifndef CORDON_CLI_LOG_COMMAND_H_
#define CORDON_CLI_LOG_COMMAND_H_

// `cordon log`: what was run, and what the network was asked for.

#include <functional>

namespace cordon::cli {

class Command;

void AddLogCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_LOG_COMMAND_H_
