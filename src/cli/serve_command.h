#ifndef CORDON_CLI_SERVE_COMMAND_H_
#define CORDON_CLI_SERVE_COMMAND_H_

#include <functional>

namespace cordon::cli {

class Command;

// `cordon serve`: sandboxes that live, for SDKs and other clients.
void AddServeCommand(Command& app, std::function<int()>* chosen);

// As many as this process may have: a daemon has three for each sandbox, and what clients have.
void TakeDescriptors();

}  // namespace cordon::cli

#endif  // CORDON_CLI_SERVE_COMMAND_H_
