#ifndef CORDON_CLI_TRUST_COMMAND_H_
#define CORDON_CLI_TRUST_COMMAND_H_

#include <functional>

namespace cordon::cli {

class Command;

// `cordon trust`: what a project's files ask for beyond the user's policy, and approving exactly
// that; a file that changes is asked about again.
void AddTrustCommand(Command& app, std::function<int()>* chosen);

}  // namespace cordon::cli

#endif  // CORDON_CLI_TRUST_COMMAND_H_
