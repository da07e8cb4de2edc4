#ifndef CORDON_CLI_INSTALL_COMMAND_H_
#define CORDON_CLI_INSTALL_COMMAND_H_

// `cordon install`, `cordon bootstrap` and `cordon audit`: a package manager in two phases.

#include <functional>

namespace cordon::cli {

class Command;

void AddInstallCommand(Command& app, std::function<int()>* chosen);
void AddBootstrapCommand(Command& app, std::function<int()>* chosen);
void AddAuditCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_INSTALL_COMMAND_H_
