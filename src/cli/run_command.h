#ifndef CORDON_CLI_RUN_COMMAND_H_
#define CORDON_CLI_RUN_COMMAND_H_

#include <functional>
#include <span>
#include <string>

namespace cordon::cli {

class Command;

// `cordon run` and `cordon sh`: their options, of the first only those that `words` name if there
// are any (command_line.h), and what runs when one of the commands was given. The function returns
// the exit status.
void AddRunCommand(Command& app, std::span<const std::string> words, std::function<int()>* chosen);
void AddShellCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_RUN_COMMAND_H_
