#ifndef CORDON_CLI_FREEZE_COMMAND_H_
#define CORDON_CLI_FREEZE_COMMAND_H_

#include <functional>

namespace cordon::cli {

class Command;

// `cordon freeze PROGRAM`: what guest/image.py calls for each program that can be frozen.
void AddFreezeCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_FREEZE_COMMAND_H_
