#ifndef CORDON_CLI_SANDBOX_COMMAND_H_
#define CORDON_CLI_SANDBOX_COMMAND_H_

// Sandboxes of a daemon that outlive whoever made them.

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace cordon::cli {

// `cordon ls`, `create`, `snapshot`, `restore`, `fork`, `kill`, `stats`
void AddListCommand(CLI::App& app, std::function<int()>* chosen);
void AddCreateCommand(CLI::App& app, std::function<int()>* chosen);
void AddSnapshotCommand(CLI::App& app, std::function<int()>* chosen);
void AddRestoreCommand(CLI::App& app, std::function<int()>* chosen);
void AddForkCommand(CLI::App& app, std::function<int()>* chosen);
void AddKillCommand(CLI::App& app, std::function<int()>* chosen);
void AddStatsCommand(CLI::App& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_SANDBOX_COMMAND_H_
