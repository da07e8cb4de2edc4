#ifndef CORDON_CLI_LEADING_OPTIONS_H_
#define CORDON_CLI_LEADING_OPTIONS_H_

#include <string>
#include <vector>

namespace cordon::cli {

// Options of planned commands may stand before the command, as in `cordon --config FILE run -- x`:
// the words with those behind the command's name, where it reads them. Anything else is as it was.
[[nodiscard]] std::vector<std::string> WithCommandFirst(std::vector<std::string> words);

}  // namespace cordon::cli

#endif  // CORDON_CLI_LEADING_OPTIONS_H_
