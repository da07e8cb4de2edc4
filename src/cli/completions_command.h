#ifndef CORDON_CLI_COMPLETIONS_COMMAND_H_
#define CORDON_CLI_COMPLETIONS_COMMAND_H_

// `cordon completions`: scripts that complete Cordon's command line.

#include <functional>

namespace cordon::cli {

class Command;

void AddCompletionsCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_COMPLETIONS_COMMAND_H_
