#ifndef CORDON_NET_NAMESPACE_SETUP_H_
#define CORDON_NET_NAMESPACE_SETUP_H_

// The inside of a network namespace whose only way out is the gateway: loopback works as it does
// anywhere, every other address is this machine's own, and what is sent there arrives at two
// listeners. These are handed out of the namespace; whoever holds them is its network.

#include <array>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::net {

// What programs inside see as their own address and as their name server. Of the ranges for hosts
// whose IPv4 is carried by something else (RFC 6333) and of private IPv6: programs that ask whether
// there is a network at all see one.
inline constexpr const char* kInsideIpv4 = "192.0.0.2";
inline constexpr const char* kInsideIpv6 = "fd63:6f72:646f:6e00::2";
inline constexpr const char* kResolverIpv4 = "192.0.0.1";

// The text of /etc/resolv.conf inside.
inline constexpr const char* kResolverFile =
    "nameserver 192.0.0.1\noptions timeout:10 attempts:1\n";

struct NamespaceSockets {
  enum Index { kTcp4, kTcp6, kUdp4, kUdp6, kReply4, kReply6, kCount };
  // Accepts connections and receives datagrams for every address; sends packets in the name of
  // every address. Without the last three of IPv6 where the kernel has none.
  std::array<OwnedFd, kCount> fds;
};

// In a network namespace that nobody has configured, with CAP_NET_ADMIN, CAP_NET_RAW and
// CAP_NET_BIND_SERVICE in the user namespace that owns it. The caller drops them before anything
// that is not trusted runs.
[[nodiscard]] Result<NamespaceSockets> SetUpNamespace();

// Over a connected Unix socket of type SOCK_SEQPACKET.
[[nodiscard]] Status SendSockets(int channel, const NamespaceSockets& sockets);
// Returns when they were received, by whoever is locked in already. EPIPE: nobody is there.
[[nodiscard]] Status WaitForReceipt(int channel);
// Says that they were received. An error that is kInvalid says that the other side has gone without
// sending any.
[[nodiscard]] Result<NamespaceSockets> ReceiveSockets(int channel);

}  // namespace cordon::net

#endif  // CORDON_NET_NAMESPACE_SETUP_H_
