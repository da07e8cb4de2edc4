#ifndef CORDON_CLI_RUN_COMMAND_H_
#define CORDON_CLI_RUN_COMMAND_H_

#include <functional>
#include <span>
#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace cordon::cli {

// `cordon run` and `cordon sh`: their options, of the first only those that `words` name if there
// are any (option_list.h), and what runs when one of the commands was given. The function returns
// the exit status.
void AddRunCommand(CLI::App& app, std::span<const std::string> words, std::function<int()>* chosen);
void AddShellCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_RUN_COMMAND_H_
