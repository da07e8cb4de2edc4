#ifndef CORDON_CLI_STATE_COMMAND_H_
#define CORDON_CLI_STATE_COMMAND_H_

#include <functional>

namespace CLI {
class App;
}

namespace cordon::cli {

// `cordon export` and `cordon import`: sandboxes of a daemon that serves a socket, as files.
void AddExportCommand(CLI::App& app, std::function<int()>* chosen);
void AddImportCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_STATE_COMMAND_H_
