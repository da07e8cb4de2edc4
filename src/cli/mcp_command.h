#ifndef CORDON_CLI_MCP_COMMAND_H_
#define CORDON_CLI_MCP_COMMAND_H_

#include <functional>

namespace cordon::cli {

class Command;

void AddMcpCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_MCP_COMMAND_H_
