#ifndef CORDON_CLI_SHIM_COMMAND_H_
#define CORDON_CLI_SHIM_COMMAND_H_

// `cordon shim`: package managers called by their names run behind the project's wall.

#include <functional>

namespace cordon::cli {

class Command;

void AddShimCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_SHIM_COMMAND_H_
