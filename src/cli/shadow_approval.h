#ifndef CORDON_CLI_SHADOW_APPROVAL_H_
#define CORDON_CLI_SHADOW_APPROVAL_H_

#include <functional>
#include <string>

#include "base/error.h"
#include "policy/surroundings.h"

namespace cordon::cli {

// The program of the user's own policy (`commit_approval`) that says yes or no to a report; none if
// the policy names none. It gets the report on its standard input, prints to standard error, runs
// in /, and says yes by exit status 0.
[[nodiscard]] Result<std::function<Status(const std::string& report)>> MakeApproval(
    const policy::Surroundings& around);

}  // namespace cordon::cli

#endif  // CORDON_CLI_SHADOW_APPROVAL_H_
