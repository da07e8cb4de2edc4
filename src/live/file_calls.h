#ifndef CORDON_LIVE_FILE_CALLS_H_
#define CORDON_LIVE_FILE_CALLS_H_

// Files of a live sandbox, for clients. They are reached by the service behind the wall, as its
// superuser: no name in the sandbox leads to the host.

#include <cstdint>
#include <string>

#include "backend/wasm/mailbox.h"
#include "live/frame.h"

namespace cordon::live {

struct FileAnswer {
  int64_t result = 0;  // -errno of Linux
  std::string payload;
};

// What failed, as a number of Linux's and text.
[[nodiscard]] FileAnswer FailWith(const Error& error);

[[nodiscard]] FileAnswer AnswerFileCall(backend::Mailbox& mailbox, const Frame& frame);

}  // namespace cordon::live

#endif  // CORDON_LIVE_FILE_CALLS_H_
