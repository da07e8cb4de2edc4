#include "net/netlink.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "base/owned_fd.h"

namespace cordon::net {
namespace {

constexpr size_t kAlign = NLMSG_ALIGNTO;

// What the kernel says of the messages that were received; counts down `expected`.
Status ReadAnswers(std::span<const uint8_t> bytes, const std::vector<std::string>& names,
                   size_t* expected) {
  while (bytes.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header = {};
    memcpy(&header, bytes.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > bytes.size()) break;
    if (header.nlmsg_type == NLMSG_ERROR &&
        header.nlmsg_len >= sizeof header + sizeof(nlmsgerr::error)) {
      int error = 0;
      memcpy(&error, bytes.data() + sizeof header, sizeof error);
      if (error != 0) {
        const size_t number = header.nlmsg_seq;
        return SystemError("netlink(" + (number < names.size() ? names[number] : "?") + ")",
                           -error);
      }
      if (*expected > 0) --*expected;
    }
    bytes = bytes.subspan(std::min<size_t>(NLMSG_ALIGN(header.nlmsg_len), bytes.size()));
  }
  return {};
}

}  // namespace

void NetlinkBatch::Append(const void* bytes, size_t size) {
  const auto* begin = static_cast<const uint8_t*>(bytes);
  buffer_.insert(buffer_.end(), begin, begin + size);
  buffer_.resize((buffer_.size() + kAlign - 1) / kAlign * kAlign);
}

void NetlinkBatch::BeginMessage(uint16_t type, uint16_t flags, std::string what) {
  message_ = buffer_.size();
  nlmsghdr header = {};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
  header.nlmsg_seq = static_cast<uint32_t>(names_.size());
  names_.push_back(std::move(what));
  if ((flags & NLM_F_ACK) != 0) ++acknowledged_;
  Append(&header, sizeof header);
}

void NetlinkBatch::End() {
  const auto size = static_cast<uint32_t>(buffer_.size() - message_);
  memcpy(buffer_.data() + message_ + offsetof(nlmsghdr, nlmsg_len), &size, sizeof size);
}

void NetlinkBatch::Put(uint16_t attribute, std::span<const uint8_t> bytes) {
  const nlattr header = {static_cast<uint16_t>(sizeof(nlattr) + bytes.size()), attribute};
  Append(&header, sizeof header);
  Append(bytes.data(), bytes.size());
}

void NetlinkBatch::PutText(uint16_t attribute, std::string_view text) {
  std::vector<uint8_t> bytes(text.begin(), text.end());
  bytes.push_back(0);
  Put(attribute, bytes);
}

void NetlinkBatch::PutNumber(uint16_t attribute, uint32_t host_order) {
  std::array<uint8_t, sizeof host_order> bytes{};
  memcpy(bytes.data(), &host_order, sizeof host_order);
  Put(attribute, bytes);
}

void NetlinkBatch::PutBigEndian(uint16_t attribute, uint32_t value) {
  PutNumber(attribute, htonl(value));
}

size_t NetlinkBatch::BeginNest(uint16_t attribute) {
  const size_t nest = buffer_.size();
  const nlattr header = {0, static_cast<uint16_t>(attribute | NLA_F_NESTED)};
  Append(&header, sizeof header);
  return nest;
}

void NetlinkBatch::EndNest(size_t nest) {
  const auto size = static_cast<uint16_t>(buffer_.size() - nest);
  memcpy(buffer_.data() + nest + offsetof(nlattr, nla_len), &size, sizeof size);
}

Status NetlinkBatch::Send(int protocol) const {
  const OwnedFd kernel(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!kernel.valid()) return SystemError("socket(AF_NETLINK)");
  sockaddr_nl to = {};
  to.nl_family = AF_NETLINK;
  if (sendto(kernel.get(), buffer_.data(), buffer_.size(), 0, reinterpret_cast<sockaddr*>(&to),
             sizeof to) < 0) {
    return SystemError("sendto(AF_NETLINK)");
  }
  size_t expected = acknowledged_;
  std::array<uint8_t, 16384> answer;
  while (expected > 0) {
    const ssize_t size = recv(kernel.get(), answer.data(), answer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return SystemError("recv(AF_NETLINK)");
    CORDON_TRY(ReadAnswers(std::span(answer).first(static_cast<size_t>(size)), names_, &expected));
  }
  return {};
}

}  // namespace cordon::net
