#include "net/dial.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace cordon::net {

int BeginConnect(int fd, const Endpoint& to) {
  sockaddr_storage storage = {};
  const socklen_t size = FillSockaddr(to, &storage);
  if (connect(fd, reinterpret_cast<sockaddr*>(&storage), size) == 0) return 0;
  const int error = errno;
  pollfd now = {fd, POLLOUT, 0};
  return error == EINPROGRESS && poll(&now, 1, 0) == 1 ? ConnectResult(fd) : error;
}

int ConnectResult(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace cordon::net
