#ifndef CORDON_CLI_INSTALL_COMMAND_H_
#define CORDON_CLI_INSTALL_COMMAND_H_

// `cordon install`, `cordon bootstrap` and `cordon audit`: a package manager in two phases.

#include <functional>

namespace CLI {
class App;
}  // namespace CLI

namespace cordon::cli {

void AddInstallCommand(CLI::App& app, std::function<int()>* chosen);
void AddBootstrapCommand(CLI::App& app, std::function<int()>* chosen);
void AddAuditCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_INSTALL_COMMAND_H_
