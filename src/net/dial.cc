#include "net/dial.h"

#include <sys/socket.h>

#include <cerrno>

namespace cordon::net {

int BeginConnect(int fd, const Endpoint& to) {
  sockaddr_storage storage = {};
  const socklen_t size = FillSockaddr(to, &storage);
  const auto* address = reinterpret_cast<const sockaddr*>(&storage);
  if (connect(fd, address, size) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  // Asked again it says what has become of it.
  if (connect(fd, address, size) == 0) return 0;
  return errno == EALREADY ? EINPROGRESS : errno;
}

int ConnectResult(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace cordon::net
