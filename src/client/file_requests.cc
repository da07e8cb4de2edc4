#include "client/file_requests.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace cordon::client {
namespace {

constexpr size_t kBuffer = size_t{256} << 10;
constexpr uint32_t kLongest = 4 << 20;  // more than a request has
constexpr std::chrono::microseconds kLook{60};
constexpr int kMostMisses = 4;  // looks in vain, before it is tried seldom
constexpr int kSeldom = 64;

}  // namespace

std::optional<FileRequest> FileRequests::Next() {
  FileRequest request;
  live::ClientFileRequestHead& head = request.head;
  if (!Fill(sizeof head)) return std::nullopt;
  memcpy(&head, buffer_.data() + at_, sizeof head);
  constexpr size_t kRest = sizeof head - sizeof head.bytes;
  if (head.bytes < kRest || head.bytes > kLongest || head.path_bytes > head.bytes - kRest) {
    return std::nullopt;
  }
  const size_t size = sizeof head.bytes + head.bytes;
  if (!Fill(size)) return std::nullopt;
  const std::string_view rest =
      std::string_view(buffer_).substr(at_ + sizeof head, size - sizeof head);
  request.path = rest.substr(0, head.path_bytes);
  request.data = rest.substr(head.path_bytes);
  at_ += size;
  return request;
}

bool FileRequests::Fill(size_t size) {
  while (buffer_.size() - at_ < size) {
    if (!Receive()) return false;
  }
  return true;
}

bool FileRequests::Receive() {
  buffer_.erase(0, at_);
  at_ = 0;
  ssize_t got = Look();
  while (got == 0) {
    pollfd wait = {.fd = socket_, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, -1) < 0 && errno != EINTR) return false;
    got = Try();
  }
  return got > 0;
}

ssize_t FileRequests::Try() {
  const size_t before = buffer_.size();
  ssize_t got = 0;
  buffer_.resize_and_overwrite(before + kBuffer, [&](char* bytes, size_t) {
    got = recv(socket_, bytes + before, kBuffer, MSG_DONTWAIT);
    return before + (got > 0 ? static_cast<size_t>(got) : 0);
  });
  if (got > 0) return got;
  return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

ssize_t FileRequests::Look() {
  if (misses_ >= kMostMisses && ++skipped_ % kSeldom != 0) return 0;
  const auto end = std::chrono::steady_clock::now() + kLook;
  do {
    const ssize_t got = Try();
    if (got == 0) continue;
    misses_ = 0;
    return got;
  } while (std::chrono::steady_clock::now() < end);
  ++misses_;
  return 0;
}

}  // namespace cordon::client
