#ifndef CORDON_CLI_MCP_COMMAND_H_
#define CORDON_CLI_MCP_COMMAND_H_

#include <functional>

namespace CLI {
class App;
}

namespace cordon::cli {

void AddMcpCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_MCP_COMMAND_H_
