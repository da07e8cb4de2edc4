#ifndef CORDON_NET_INBOUND_H_
#define CORDON_NET_INBOUND_H_

// What comes to a published port goes to a port of the loopback of the network namespace that this
// process is in, of IPv4 or, where nobody listens there, of IPv6.

#include <cstddef>
#include <cstdint>

#include "net/async.h"

namespace cordon::net {

// Connections of all ports together.
struct InboundCount {
  size_t open = 0;
};

// As long as the listener is there. The count outlives the loop.
awaitable<void> ServePort(asio::io_context& loop, OwnedFd listener, uint16_t port,
                          InboundCount& count);

}  // namespace cordon::net

#endif  // CORDON_NET_INBOUND_H_
