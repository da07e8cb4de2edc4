#include "base/fd_message.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace cordon {

Status SendWithFds(int socket, std::span<const std::byte> bytes, std::span<const int> fds,
                   int flags) {
  if (fds.size() > kMaxMessageFds) return Fail(ErrorCode::kInternal, "too many descriptors");
  std::byte zero{};
  iovec part = {&zero, 1};
  if (!bytes.empty()) part = {const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char space[CMSG_SPACE(kMaxMessageFds * sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = space;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  for (;;) {
    if (sendmsg(socket, &message, flags | MSG_NOSIGNAL) >= 0) return {};
    if (errno != EINTR) return SystemError("sendmsg(SCM_RIGHTS)");
  }
}

Result<FdMessage> ReceiveWithFds(int socket, std::span<std::byte> buffer, int flags) {
  iovec part = {buffer.data(), buffer.size()};
  alignas(cmsghdr) char space[CMSG_SPACE(kMaxMessageFds * sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  ssize_t size = -1;
  do {
    size = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return SystemError("recvmsg(SCM_RIGHTS)");
  FdMessage received;
  received.size = static_cast<size_t>(size);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      received.fds.emplace_back(fd);
    }
  }
  return received;
}

}  // namespace cordon
