#ifndef CORDON_CLI_SHADOW_COMMAND_H_
#define CORDON_CLI_SHADOW_COMMAND_H_

#include <functional>

namespace cordon::cli {

class Command;

// `cordon shadow create|list|diff|commit|discard`, and the last three as commands of their own.
void AddShadowCommands(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_SHADOW_COMMAND_H_
