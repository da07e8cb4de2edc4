#ifndef CORDON_NET_DIAL_H_
#define CORDON_NET_DIAL_H_

#include "net/address.h"

namespace cordon::net {

// Begins to connect a stream socket that does not block: 0, EINPROGRESS (it can be written to once
// ConnectResult is known), or why not. Within a machine a connection is there at once, though
// connect(2) says that it is not.
[[nodiscard]] int BeginConnect(int fd, const Endpoint& to);
[[nodiscard]] int ConnectResult(int fd);

}  // namespace cordon::net

#endif  // CORDON_NET_DIAL_H_
