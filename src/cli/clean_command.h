#ifndef CORDON_CLI_CLEAN_COMMAND_H_
#define CORDON_CLI_CLEAN_COMMAND_H_

// `cordon clean`: removes what Cordon keeps.

#include <functional>

namespace CLI {
class App;
}  // namespace CLI

namespace cordon::cli {

void AddCleanCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_CLEAN_COMMAND_H_
