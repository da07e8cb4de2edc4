#include "base/write_all.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace cordon {

Status WriteAll(int fd, std::string_view bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t put = write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return SystemError("write(" + std::string(what) + ")");
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

Status WriteAll(int fd, std::span<const std::byte> bytes, std::string_view what) {
  return WriteAll(fd, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, what);
}

bool SendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

}  // namespace cordon
