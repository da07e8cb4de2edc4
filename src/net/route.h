#ifndef CORDON_NET_ROUTE_H_
#define CORDON_NET_ROUTE_H_

#include <optional>

#include "base/owned_fd.h"
#include "net/address.h"
#include "net/rules.h"

namespace cordon::net {

// Whose addresses are, as the kernel would send to them now.
class RouteFinder {
 public:
  // None if it has no way there.
  [[nodiscard]] std::optional<Whose> Find(const Address& address);

 private:
  OwnedFd ipv4_, ipv6_;  // sockets that only look routes up
};

}  // namespace cordon::net

#endif  // CORDON_NET_ROUTE_H_
