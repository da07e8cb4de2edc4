#include "kernel/socket_address.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/guest_memory.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kV4Bytes = 16;  // sockaddr_in
constexpr uint32_t kV6Bytes = 28;  // sockaddr_in6
constexpr uint32_t kV6Least = 24;  // without the scope, as RFC 2133 had it
constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool IsZero(const uint8_t* bytes, size_t count) {
  return std::all_of(bytes, bytes + count, [](uint8_t byte) { return byte == 0; });
}

}  // namespace

int32_t LoadAddress(uint32_t at, uint32_t size, SocketAddress* out) {
  // Linux takes up to sizeof(struct sockaddr_storage); more than a sockaddr_un is cut for the
  // families that are shorter.
  constexpr uint32_t kMostAccepted = 128;
  *out = {};
  if (size > kMostAccepted) return -EINVAL;
  const uint32_t kept = std::min(size, SocketAddress::kMaxBytes);
  if (CopyIn(out->bytes, at, kept) != 0) return -EFAULT;
  out->size = static_cast<uint16_t>(kept);
  return size < 2 || (out->family() == AF_UNIX && size > kept) ? -EINVAL : 0;
}

int32_t StoreAddress(uint32_t at, uint32_t size_at, const SocketAddress& address) {
  if (at == 0) return 0;
  int32_t room = 0;
  if (Load(&room, size_at) != 0) return -EFAULT;
  if (room < 0) return -EINVAL;
  const uint32_t count = std::min<uint32_t>(address.size, static_cast<uint32_t>(room));
  if (CopyOut(at, address.bytes, count) != 0) return -EFAULT;
  return Store(size_at, uint32_t{address.size});
}

SocketAddress UnixAddress(std::string_view name) {
  SocketAddress address;
  address.bytes[0] = AF_UNIX;
  const size_t count = std::min<size_t>(name.size(), SocketAddress::kMaxBytes - 2);
  if (count > 0) memcpy(address.bytes + 2, name.data(), count);
  address.size = static_cast<uint16_t>(2 + count);
  return address;
}

bool Endpoint::is_v4() const {
  return memcmp(ip, kMapped, sizeof kMapped) == 0;
}
bool Endpoint::is_any() const {
  return IsZero(ip, 16) || (is_v4() && IsZero(ip + 12, 4));
}
bool Endpoint::is_loopback() const {
  return is_v4() ? ip[12] == 127 : IsZero(ip, 15) && ip[15] == 1;
}

int32_t ParseEndpoint(const SocketAddress& address, uint16_t family, Endpoint* out) {
  *out = {};
  if (address.size < (family == AF_INET ? kV4Bytes : kV6Least)) return -EINVAL;
  if (address.family() != family) return -EAFNOSUPPORT;
  out->port = static_cast<uint16_t>(address.bytes[2] << 8 | address.bytes[3]);
  if (family == AF_INET) {
    memcpy(out->ip, kMapped, sizeof kMapped);
    memcpy(out->ip + 12, address.bytes + 4, 4);
  } else {
    memcpy(out->ip, address.bytes + 8, 16);
  }
  return 0;
}

SocketAddress EndpointAddress(const Endpoint& endpoint, uint16_t family) {
  SocketAddress address;
  address.bytes[0] = static_cast<uint8_t>(family);
  address.bytes[2] = static_cast<uint8_t>(endpoint.port >> 8);
  address.bytes[3] = static_cast<uint8_t>(endpoint.port);
  if (family == AF_INET) {
    memcpy(address.bytes + 4, endpoint.ip + 12, 4);
    address.size = kV4Bytes;
  } else {
    memcpy(address.bytes + 8, endpoint.ip, 16);
    address.size = kV6Bytes;
  }
  return address;
}

Endpoint LoopbackEndpoint(IpVersion version, uint16_t port) {
  Endpoint endpoint = AnyEndpoint(version, port);
  endpoint.ip[15] = 1;
  if (version == IpVersion::kV4) endpoint.ip[12] = 127;
  return endpoint;
}

Endpoint AnyEndpoint(IpVersion version, uint16_t port) {
  Endpoint endpoint;
  if (version == IpVersion::kV4) memcpy(endpoint.ip, kMapped, sizeof kMapped);
  endpoint.port = port;
  return endpoint;
}

}  // namespace cordon::kernel
