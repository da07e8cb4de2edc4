#ifndef CORDON_BASE_ERROR_H_
#define CORDON_BASE_ERROR_H_

// Results instead of exceptions: a function that can fail returns Result<T>, and an Error says what
// was attempted, literally, and why it failed.

#include <cerrno>
#include <expected>
#include <string>

namespace cordon {

enum class ErrorCode {
  kInvalid,      // the caller's or user's input is wrong
  kNotFound,     // the program that is to run is not there
  kUnsupported,  // valid, but this build or machine does not do it
  kLimit,        // a stated limit was reached
  kSystem,       // a system call failed; `system_errno` says how
  kCorrupt,      // data that should be ours is damaged or hostile
  kInternal,     // a defect of Cordon
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // with the literal call that failed where there was one
  std::string place;    // "file:line:column", "FILE.wasm:0x1f" or empty
  int system_errno = 0;

  // "place: message: strerror", without the parts that are empty.
  [[nodiscard]] std::string ToString() const;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

[[nodiscard]] std::unexpected<Error> Fail(ErrorCode code, std::string message,
                                          std::string place = {});
// The error of the system call that just failed; `call` is the call as one would write it.
[[nodiscard]] std::unexpected<Error> SystemError(std::string call, int error_number = errno);

}  // namespace cordon

// Evaluates an expression of type Result<T> or Status and returns its error from the calling
// function.
#define CORDON_TRY(expression)                                                   \
  do {                                                                           \
    if (auto cordon_try_result = (expression); !cordon_try_result.has_value()) { \
      return std::unexpected(std::move(cordon_try_result.error()));              \
    }                                                                            \
  } while (false)

#endif  // CORDON_BASE_ERROR_H_
