#include "cli/variable.h"

namespace cordon::cli {

Result<std::pair<std::string, std::string>> ParseVariable(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) {
    return Fail(ErrorCode::kInvalid, "expected NAME=VALUE, got '" + word + "'", "--env");
  }
  return std::pair(word.substr(0, equals), word.substr(equals + 1));
}

}  // namespace cordon::cli
