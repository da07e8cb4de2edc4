#ifndef CORDON_CLI_SANDBOX_OPTIONS_H_
#define CORDON_CLI_SANDBOX_OPTIONS_H_

// What the commands about sandboxes of a daemon have in common.

#include <functional>
#include <string>

#include "cordon/cordon.h"

namespace cordon::cli {

class Answer;
class Command;
struct AnswerOptions;

// --socket, $CORDON_SOCKET
void AddSocketOption(Command& command, std::string* socket);

// What a detached sandbox of that daemon is asked for; the exit status.
[[nodiscard]] int WithClient(const std::string& socket,
                             const std::function<Result<int>(Client&)>& action);
[[nodiscard]] int WithClient(const std::string& socket, Answer& answer,
                             const std::function<Status(Client&)>& action);
[[nodiscard]] int WithSandbox(const std::string& socket, const std::string& id, Answer& answer,
                              const std::function<Status(Sandbox&)>& action);

}  // namespace cordon::cli

#endif  // CORDON_CLI_SANDBOX_OPTIONS_H_
