#ifndef CORDON_CLI_CLEAN_COMMAND_H_
#define CORDON_CLI_CLEAN_COMMAND_H_

// `cordon clean`: removes what Cordon keeps.

#include <functional>

namespace cordon::cli {

class Command;

void AddCleanCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_CLEAN_COMMAND_H_
