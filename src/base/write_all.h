#ifndef CORDON_BASE_WRITE_ALL_H_
#define CORDON_BASE_WRITE_ALL_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "base/error.h"

namespace cordon {

// All of it, in as many calls as that takes; a signal does not end it (write(2)). The error names
// the call as "write(what)".
[[nodiscard]] Status WriteAll(int fd, std::string_view bytes, std::string_view what);
[[nodiscard]] Status WriteAll(int fd, std::span<const std::byte> bytes, std::string_view what);

// All of it to a stream socket, without SIGPIPE (send(2)). False: nobody is there any more.
[[nodiscard]] bool SendAll(int socket, std::string_view bytes);

}  // namespace cordon

#endif  // CORDON_BASE_WRITE_ALL_H_
