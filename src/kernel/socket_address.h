#ifndef CORDON_KERNEL_SOCKET_ADDRESS_H_
#define CORDON_KERNEL_SOCKET_ADDRESS_H_

// Addresses of sockets, as guests write them (struct sockaddr_un, sockaddr_in, sockaddr_in6).

#include <cstdint>
#include <string_view>

namespace cordon::kernel {

struct SocketAddress {
  static constexpr uint32_t kMaxBytes = 110;  // of sockaddr_un
  uint16_t size = 0;                          // 0: none
  uint8_t bytes[kMaxBytes] = {};

  [[nodiscard]] uint16_t family() const {
    return static_cast<uint16_t>(size < 2 ? 0 : bytes[0] | bytes[1] << 8);
  }
  // What follows the family: a path, or an abstract name that begins with a zero.
  [[nodiscard]] std::string_view name() const {
    return {reinterpret_cast<const char*>(bytes) + 2, size < 2 ? 0u : size - 2u};
  }
  [[nodiscard]] bool is_abstract() const { return !name().empty() && name()[0] == '\0'; }
};

// From the guest. 0, -EFAULT, or -EINVAL for what cannot be an address.
[[nodiscard]] int32_t LoadAddress(uint32_t at, uint32_t size, SocketAddress* out);
// Cut to the size found at `size_at`, where the true one is stored; `at` may be 0.
[[nodiscard]] int32_t StoreAddress(uint32_t at, uint32_t size_at, const SocketAddress& address);
// An address without a name: the family alone, for AF_UNIX.
SocketAddress UnixAddress(std::string_view name);

// One end of an internet socket. IPv4 addresses are ::ffff:a.b.c.d, so that both families meet.
struct Endpoint {
  uint8_t ip[16] = {};
  uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;

  [[nodiscard]] bool is_v4() const;
  [[nodiscard]] bool is_any() const;
  [[nodiscard]] bool is_loopback() const;
};

// -EAFNOSUPPORT or -EINVAL if it is not one of that family.
[[nodiscard]] int32_t ParseEndpoint(const SocketAddress& address, uint16_t family, Endpoint* out);
SocketAddress EndpointAddress(const Endpoint& endpoint, uint16_t family);
// The loopback or the unspecified address of IPv4 or IPv6.
enum class IpVersion { kV4, kV6 };
Endpoint LoopbackEndpoint(IpVersion version, uint16_t port);
Endpoint AnyEndpoint(IpVersion version, uint16_t port);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_SOCKET_ADDRESS_H_
