#ifndef CORDON_POLICY_SECRETS_H_
#define CORDON_POLICY_SECRETS_H_

// What looks secret: variables by name and by value, files by path.

#include <string>
#include <string_view>

#include "policy/surroundings.h"

namespace cordon::policy {

// Empty if it does not look secret; otherwise why it does: "its name holds TOKEN".
[[nodiscard]] std::string SecretReason(std::string_view name, std::string_view value);

// Empty if a bind of `path` shows nothing that is known to hold credentials; otherwise what it
// shows. `path` is absolute and without links; both directions count: ~/.ssh, ~/.ssh/id and ~.
[[nodiscard]] std::string CredentialsIn(const std::string& path, const Surroundings& around);

// A git configuration with a password in an address or a header that authenticates.
[[nodiscard]] bool GitConfigHoldsSecret(std::string_view text);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_SECRETS_H_
