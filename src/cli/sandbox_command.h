#ifndef CORDON_CLI_SANDBOX_COMMAND_H_
#define CORDON_CLI_SANDBOX_COMMAND_H_

// Sandboxes of a daemon that outlive whoever made them.

#include <functional>
#include <string>
#include <vector>

namespace cordon::cli {

class Command;

// `cordon ls`, `create`, `snapshot`, `restore`, `fork`, `kill`, `stats`
void AddListCommand(Command& app, std::function<int()>* chosen);
void AddCreateCommand(Command& app, std::function<int()>* chosen);
void AddSnapshotCommand(Command& app, std::function<int()>* chosen);
void AddRestoreCommand(Command& app, std::function<int()>* chosen);
void AddForkCommand(Command& app, std::function<int()>* chosen);
void AddKillCommand(Command& app, std::function<int()>* chosen);
void AddStatsCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_SANDBOX_COMMAND_H_
