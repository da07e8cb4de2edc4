#include "base/error.h"

#include <cstring>
#include <utility>

namespace cordon {

std::string Error::ToString() const {
  std::string text;
  if (!place.empty()) text += place + ": ";
  text += message;
  if (system_errno != 0) text += std::string(": ") + strerror(system_errno);
  return text;
}

std::unexpected<Error> Fail(ErrorCode code, std::string message, std::string place) {
  return std::unexpected(Error{code, std::move(message), std::move(place), 0});
}

std::unexpected<Error> SystemError(std::string call, int error_number) {
  return std::unexpected(Error{ErrorCode::kSystem, std::move(call), {}, error_number});
}

}  // namespace cordon
