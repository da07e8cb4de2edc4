#ifndef CORDON_NET_SOCKET_QUESTION_H_
#define CORDON_NET_SOCKET_QUESTION_H_

// Which program a refused flow is of: asked by the gateway, which sees no process, of whoever
// started it, over the control channel. "who 7 tcp 4 40000 443"; the answer is "by 7 curl".

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/address.h"

namespace cordon::net {

struct SocketQuestion {
  uint64_t number = 0;
  bool is_tcp = false;
  bool is_ipv4 = false;
  uint16_t source_port = 0;       // the socket's own, in the command's namespace
  uint16_t destination_port = 0;  // where it is connected to, or sends to

  [[nodiscard]] std::string Write() const;
  [[nodiscard]] static std::optional<SocketQuestion> Read(std::string_view text);
};

struct SocketAnswer {
  uint64_t number = 0;
  std::string who;  // printable, short; empty if nobody was found

  [[nodiscard]] std::string Write() const;
  [[nodiscard]] static std::optional<SocketAnswer> Read(std::string_view text);
};

// What a process said of itself, as one line that draws on no terminal: letters, digits and
// "@/._+- ", a question mark for everything else, at most 80 bytes.
[[nodiscard]] std::string PlainName(std::string_view text);

}  // namespace cordon::net

#endif  // CORDON_NET_SOCKET_QUESTION_H_
