#ifndef CORDON_CLI_COMMANDS_H_
#define CORDON_CLI_COMMANDS_H_

#include <functional>
#include <span>
#include <string>

namespace cordon::cli {

class Command;

// Describes the command that the first of `words` names to the parser, or all of them if it names
// none: the options of all commands take longer to describe than a sandbox takes to build.
void AddCommands(Command& app, std::span<const std::string> words, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_COMMANDS_H_
