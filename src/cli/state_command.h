#ifndef CORDON_CLI_STATE_COMMAND_H_
#define CORDON_CLI_STATE_COMMAND_H_

#include <functional>

namespace cordon::cli {

class Command;

// `cordon export` and `cordon import`: sandboxes of a daemon that serves a socket, as files.
void AddExportCommand(Command& app, std::function<int()>* chosen);
void AddImportCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_STATE_COMMAND_H_
