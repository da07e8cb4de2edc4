#include "base/unix_address.h"

#include <sys/socket.h>

#include <algorithm>

namespace cordon {

Result<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Fail(ErrorCode::kInvalid, "a socket's path has 1 to 107 bytes", path);
  }
  std::ranges::copy(path, address.sun_path);
  return address;
}

}  // namespace cordon
