#ifndef CORDON_CLI_NETWORK_LOG_H_
#define CORDON_CLI_NETWORK_LOG_H_

#include <string>

#include "base/error.h"
#include "policy/surroundings.h"

namespace cordon::cli {

// The file that a gateway's decisions are appended to, in the user's state folder, whose folders
// are there afterwards. What has become long is kept once, as `network.log.1`.
[[nodiscard]] Result<std::string> PrepareNetworkLog(const policy::Surroundings& around);

// The user's folder of Cordon's state; empty without a home.
[[nodiscard]] std::string StateFolder(const policy::Surroundings& around);
[[nodiscard]] Status MakeStateFolder(const policy::Surroundings& around);

}  // namespace cordon::cli

#endif  // CORDON_CLI_NETWORK_LOG_H_
