#ifndef CORDON_CLI_VARIABLE_H_
#define CORDON_CLI_VARIABLE_H_

#include <string>
#include <utility>

#include "base/error.h"

namespace cordon::cli {

// NAME=VALUE, as --env has it, to its name and its value.
[[nodiscard]] Result<std::pair<std::string, std::string>> ParseVariable(const std::string& word);

}  // namespace cordon::cli

#endif  // CORDON_CLI_VARIABLE_H_
