#ifndef CORDON_BASE_FD_MESSAGE_H_
#define CORDON_BASE_FD_MESSAGE_H_

// Messages with descriptors over a Unix socket that keeps their boundaries.

#include <cstddef>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon {

inline constexpr size_t kMaxMessageFds = 16;

// An empty message is sent as one zero byte, because nothing would mean the end. `flags` as for
// sendmsg(2).
[[nodiscard]] Status SendWithFds(int socket, std::span<const std::byte> bytes,
                                 std::span<const int> fds, int flags = 0);

struct FdMessage {
  size_t size = 0;  // 0: the other side is gone
  std::vector<OwnedFd> fds;
};
// At most `buffer` bytes. `flags` as for recvmsg(2); a socket without a message is EAGAIN then.
[[nodiscard]] Result<FdMessage> ReceiveWithFds(int socket, std::span<std::byte> buffer, int flags);

template <typename T>
std::span<const std::byte> BytesOf(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}
template <typename T>
std::span<std::byte> WritableBytesOf(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

}  // namespace cordon

#endif  // CORDON_BASE_FD_MESSAGE_H_
