#ifndef CORDON_CLI_COMPLETIONS_COMMAND_H_
#define CORDON_CLI_COMPLETIONS_COMMAND_H_

// `cordon completions`: scripts that complete Cordon's command line.

#include <functional>

namespace CLI {
class App;
}  // namespace CLI

namespace cordon::cli {

void AddCompletionsCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_COMPLETIONS_COMMAND_H_
