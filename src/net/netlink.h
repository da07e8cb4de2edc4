#ifndef CORDON_NET_NETLINK_H_
#define CORDON_NET_NETLINK_H_

// Requests to the kernel's network configuration. The libraries for it are not there as static
// ones, and what Cordon asks for are a few messages that never change.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cordon::net {

// Several messages, one after the other, in the order in which they are to be done.
class NetlinkBatch {
 public:
  // `what` names the message in an error: "table inet cordon".
  template <typename Header>
  void Begin(uint16_t type, uint16_t flags, const Header& header, std::string what) {
    BeginMessage(type, flags, std::move(what));
    Append(&header, sizeof header);
  }
  void End();

  void Put(uint16_t attribute, std::span<const uint8_t> bytes);
  void PutText(uint16_t attribute, std::string_view text);  // with a NUL
  void PutNumber(uint16_t attribute, uint32_t host_order);
  void PutBigEndian(uint16_t attribute, uint32_t value);
  // Attributes within an attribute.
  [[nodiscard]] size_t BeginNest(uint16_t attribute);
  void EndNest(size_t nest);

  // Opens a socket of the current network namespace, sends all, and waits for what the kernel says
  // of each message that asked for it.
  [[nodiscard]] Status Send(int protocol) const;

 private:
  void BeginMessage(uint16_t type, uint16_t flags, std::string what);
  void Append(const void* bytes, size_t size);

  std::vector<uint8_t> buffer_;
  std::vector<std::string> names_;  // by sequence number
  size_t message_ = 0;
  size_t acknowledged_ = 0;
};

}  // namespace cordon::net

#endif  // CORDON_NET_NETLINK_H_
