#ifndef CORDON_CLI_SERVE_COMMAND_H_
#define CORDON_CLI_SERVE_COMMAND_H_

#include <functional>

namespace CLI {
class App;
}

namespace cordon::cli {

// `cordon serve`: sandboxes that live, for SDKs and other clients.
void AddServeCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_SERVE_COMMAND_H_
