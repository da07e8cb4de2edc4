#include "net/namespace_setup.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/fd_message.h"
#include "net/address.h"
#include "net/netlink.h"
#include "net/transparent_rules.h"

namespace cordon::net {
namespace {

constexpr int kLoopback = 1;  // always, in a namespace of its own
constexpr int kBacklog = 4096;

std::vector<uint8_t> AddressBytes(const char* text) {
  const Address address = *ParseAddress(text);
  return {address.bytes.begin() + (address.is_ipv4() ? 12 : 0), address.bytes.end()};
}

void AddAddress(NetlinkBatch* batch, uint8_t family, const char* text) {
  const std::vector<uint8_t> bytes = AddressBytes(text);
  ifaddrmsg header = {};
  header.ifa_family = family;
  header.ifa_prefixlen = static_cast<uint8_t>(bytes.size() * 8);
  header.ifa_flags = IFA_F_NODAD;
  header.ifa_index = kLoopback;
  batch->Begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_ACK, header, std::string("address ") + text);
  batch->Put(IFA_LOCAL, bytes);
  batch->Put(IFA_ADDRESS, bytes);
  batch->End();
}

// Every address is local: connections to it come back in by the loopback.
void AddRoute(NetlinkBatch* batch, uint8_t family, const char* source) {
  rtmsg header = {};
  header.rtm_family = family;
  header.rtm_table = RT_TABLE_LOCAL;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_HOST;
  header.rtm_type = RTN_LOCAL;
  batch->Begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_ACK, header, "route local default dev lo");
  batch->PutNumber(RTA_OIF, kLoopback);
  batch->Put(RTA_PREFSRC, AddressBytes(source));
  batch->End();
}

Status RouteEverythingHere(bool has_ipv6) {
  NetlinkBatch batch;
  ifinfomsg link = {};
  link.ifi_index = kLoopback;
  link.ifi_flags = IFF_UP;
  link.ifi_change = IFF_UP;
  batch.Begin(RTM_NEWLINK, NLM_F_ACK, link, "link lo up");
  batch.End();
  AddAddress(&batch, AF_INET, kInsideIpv4);
  AddRoute(&batch, AF_INET, kInsideIpv4);
  if (has_ipv6) {
    AddAddress(&batch, AF_INET6, kInsideIpv6);
    AddRoute(&batch, AF_INET6, kInsideIpv6);
  }
  return batch.Send(NETLINK_ROUTE);
}

Status Set(int fd, int level, int option, const char* name, int value = 1) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0) {
    return SystemError(std::string("setsockopt(") + name + ")");
  }
  return {};
}

struct Family {
  int family;
  int level;
  int transparent;
  int original;  // tells the address to which a datagram was sent
  int header;    // what is sent has its own IP header
  const char* address;
};
constexpr Family kIpv4 = {AF_INET,    IPPROTO_IP, IP_TRANSPARENT, IP_RECVORIGDSTADDR,
                          IP_HDRINCL, "127.0.0.1"};
constexpr Family kIpv6 = {AF_INET6,     IPPROTO_IPV6, IPV6_TRANSPARENT, IPV6_RECVORIGDSTADDR,
                          IPV6_HDRINCL, "::1"};

Result<OwnedFd> OpenListener(const Family& family, int type) {
  OwnedFd fd(socket(family.family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return SystemError("socket");
  CORDON_TRY(Set(fd.get(), family.level, family.transparent, "IP_TRANSPARENT"));
  CORDON_TRY(Set(fd.get(), SOL_SOCKET, SO_MARK, "SO_MARK", kGatewayMark));
  if (family.family == AF_INET6)
    CORDON_TRY(Set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"));
  if (type == SOCK_DGRAM) {
    CORDON_TRY(Set(fd.get(), family.level, family.original, "IP_RECVORIGDSTADDR"));
  }
  sockaddr_storage address = {};
  const socklen_t size = FillSockaddr({*ParseAddress(family.address), kListenerPort}, &address);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) {
    return SystemError(std::string("bind(") + family.address + ")");
  }
  if (type == SOCK_STREAM && listen(fd.get(), kBacklog) != 0) return SystemError("listen");
  return fd;
}

// Sends only: a raw socket of this protocol receives nothing.
Result<OwnedFd> OpenReply(const Family& family) {
  OwnedFd fd(socket(family.family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!fd.valid()) return SystemError("socket(SOCK_RAW)");
  CORDON_TRY(Set(fd.get(), family.level, family.header, "IP_HDRINCL"));
  CORDON_TRY(Set(fd.get(), SOL_SOCKET, SO_MARK, "SO_MARK", kGatewayMark));
  return fd;
}

Status OpenFamily(const Family& family, NamespaceSockets* sockets) {
  const size_t shift = family.family == AF_INET6 ? 1 : 0;
  const auto take = [&](size_t index, Result<OwnedFd> fd) -> Status {
    if (!fd) return std::unexpected(fd.error());
    sockets->fds[index + shift] = std::move(*fd);
    return {};
  };
  CORDON_TRY(take(NamespaceSockets::kTcp4, OpenListener(family, SOCK_STREAM)));
  CORDON_TRY(take(NamespaceSockets::kUdp4, OpenListener(family, SOCK_DGRAM)));
  return take(NamespaceSockets::kReply4, OpenReply(family));
}

bool HasIpv6() {
  const OwnedFd fd(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return fd.valid();
}

}  // namespace

Result<NamespaceSockets> SetUpNamespace() {
  const bool has_ipv6 = HasIpv6();
  CORDON_TRY(RouteEverythingHere(has_ipv6));
  NamespaceSockets sockets;
  CORDON_TRY(OpenFamily(kIpv4, &sockets));
  if (has_ipv6) CORDON_TRY(OpenFamily(kIpv6, &sockets));
  CORDON_TRY(InstallTransparentRules(has_ipv6 ? Families::kBoth : Families::kIpv4));
  return sockets;
}

Status SendSockets(int channel, const NamespaceSockets& sockets) {
  // One byte for each socket: whether it is there.
  std::array<char, NamespaceSockets::kCount> there{};
  std::vector<int> fds;
  for (size_t i = 0; i < there.size(); ++i) {
    there[i] = sockets.fds[i].valid() ? 1 : 0;
    if (there[i] != 0) fds.push_back(sockets.fds[i].get());
  }
  return SendWithFds(channel, BytesOf(there), fds);
}

Status WaitForReceipt(int channel) {
  char receipt = 0;
  ssize_t size = 0;
  while ((size = recv(channel, &receipt, 1, 0)) < 0 && errno == EINTR) {
  }
  return size == 1 ? Status() : SystemError("recv(receipt of the network)", EPIPE);
}

Result<NamespaceSockets> ReceiveSockets(int channel) {
  std::array<char, NamespaceSockets::kCount> there{};
  Result<FdMessage> message = ReceiveWithFds(channel, WritableBytesOf(there), 0);
  if (!message) return std::unexpected(message.error());
  if (message->size == 0) return Fail(ErrorCode::kInvalid, "no network was handed over");
  NamespaceSockets sockets;
  size_t next = 0;
  for (size_t i = 0; i < there.size(); ++i) {
    if (there[i] != 0 && next < message->fds.size()) {
      sockets.fds[i] = std::move(message->fds[next++]);
    }
  }
  const bool has_ipv4 = sockets.fds[NamespaceSockets::kTcp4].valid() &&
                        sockets.fds[NamespaceSockets::kUdp4].valid() &&
                        sockets.fds[NamespaceSockets::kReply4].valid();
  if (!has_ipv4) return Fail(ErrorCode::kCorrupt, "the network that was handed over is incomplete");
  // Nobody may wait for it.
  (void)send(channel, "r", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  return sockets;
}

}  // namespace cordon::net
