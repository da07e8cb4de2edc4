#include "net/route.h"

#include "base/owned_fd.h"

namespace cordon::net {

std::optional<Whose> FindRoute(const Address& address) {
  // Connecting a datagram socket sends nothing: it looks the route up and takes its source.
  const OwnedFd probe(socket(address.is_ipv4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage = {};
  const socklen_t size = FillSockaddr({address, 9}, &storage);
  if (!probe.valid() || connect(probe.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) {
    return std::nullopt;
  }
  sockaddr_storage source = {};
  socklen_t source_size = sizeof source;
  if (getsockname(probe.get(), reinterpret_cast<sockaddr*>(&source), &source_size) != 0) {
    return std::nullopt;
  }
  // To one of its own a machine speaks from that very one.
  return EndpointOf(source).address == address ? Whose::kThisMachine : Whose::kOther;
}

}  // namespace cordon::net
