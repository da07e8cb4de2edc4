#ifndef CORDON_CLI_COPY_COMMAND_H_
#define CORDON_CLI_COPY_COMMAND_H_

#include <functional>

namespace cordon::cli {

class Command;

// `cordon cp`: a file or tree into a sandbox of a daemon, or out of it.
void AddCopyCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_COPY_COMMAND_H_
