#ifndef CORDON_KERNEL_SOCKET_MESSAGE_H_
#define CORDON_KERNEL_SOCKET_MESSAGE_H_

// Sending to a socket and receiving from it.

#include "kernel/guest_vector.h"
#include "kernel/socket.h"

namespace cordon::kernel {

struct Outgoing {
  explicit Outgoing(CallerBytes from) : bytes(from), sender(CurrentOwner()) {}
  CallerBytes bytes;
  SocketOwner sender;
  SocketAddress to;  // size 0: the peer
  HeldRights files;
  // Of a datagram of the internet; negative: as the socket has it.
  int32_t hop_limit = -1, traffic_class = -1;
  bool blocks = true;
  bool raises_signal = true;  // SIGPIPE
  bool is_urgent = false;     // of TCP: the last byte
};
// Bytes or -errno.
int64_t SendMessage(Socket& socket, Outgoing& out);

struct Incoming {
  explicit Incoming(CallerBytes to) : bytes(to) {}
  CallerBytes bytes;
  bool blocks = true;
  bool peeks = false;
  bool waits_for_all = false;
  bool returns_full_size = false;  // of a message, whatever of it fits
  // Results.
  SocketAddress from;
  SocketOwner sender = {};
  uint8_t hop_limit = 0, traffic_class = 0;
  bool has_message = false;
  bool is_truncated = false;
  bool is_urgent = false;
  HeldRights files;
};
int64_t ReceiveMessage(Socket& socket, Incoming& in);
// The urgent byte, never waiting: 1, or -EINVAL where there is none (socket_urgent.cc).
int64_t ReceiveUrgent(Socket& socket, Incoming& in);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_SOCKET_MESSAGE_H_
