#ifndef CORDON_CLI_INIT_WIZARD_H_
#define CORDON_CLI_INIT_WIZARD_H_

#include <cstdio>

#include "base/error.h"
#include "policy/starter.h"

namespace cordon::cli {

// Asks on `out` what a project's policy is to say, a line of `in` for each answer; what `choices`
// holds is what an empty line means. An answer that no policy may hold is said why and asked for
// again. An error at the end of `in`.
[[nodiscard]] Result<policy::ProjectChoices> AskForChoices(policy::ProjectChoices choices, FILE* in,
                                                           FILE* out);

}  // namespace cordon::cli

#endif  // CORDON_CLI_INIT_WIZARD_H_
