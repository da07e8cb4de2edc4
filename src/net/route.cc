#include "net/route.h"

#include <sys/socket.h>

namespace cordon::net {
namespace {

// Connecting a datagram socket sends nothing: it looks the route up and takes its source. One that
// was connected before would keep the source of then (connect(2), AF_UNSPEC).
bool ConnectAnew(int fd, const Address& address) {
  const sockaddr nobody = {.sa_family = AF_UNSPEC, .sa_data = {}};
  sockaddr_storage storage = {};
  const socklen_t size = FillSockaddr({address, 9}, &storage);
  return connect(fd, &nobody, sizeof nobody) == 0 &&
         connect(fd, reinterpret_cast<sockaddr*>(&storage), size) == 0;
}

}  // namespace

std::optional<Whose> RouteFinder::Find(const Address& address) {
  OwnedFd& probe = address.is_ipv4() ? ipv4_ : ipv6_;
  if (!probe.valid()) {
    const int family = address.is_ipv4() ? AF_INET : AF_INET6;
    probe.reset(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  }
  if (!probe.valid() || !ConnectAnew(probe.get(), address)) return std::nullopt;
  sockaddr_storage source = {};
  socklen_t size = sizeof source;
  if (getsockname(probe.get(), reinterpret_cast<sockaddr*>(&source), &size) != 0) {
    return std::nullopt;
  }
  // To one of its own a machine speaks from that very one.
  return EndpointOf(source).address == address ? Whose::kThisMachine : Whose::kOther;
}

}  // namespace cordon::net
