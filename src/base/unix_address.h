#ifndef CORDON_BASE_UNIX_ADDRESS_H_
#define CORDON_BASE_UNIX_ADDRESS_H_

#include <sys/un.h>

#include <string>

#include "base/error.h"

namespace cordon {

// Of a socket with this path, unix(7). kInvalid: it is empty, or longer than 107 bytes.
[[nodiscard]] Result<sockaddr_un> UnixAddress(const std::string& path);

}  // namespace cordon

#endif  // CORDON_BASE_UNIX_ADDRESS_H_
