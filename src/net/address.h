#ifndef CORDON_NET_ADDRESS_H_
#define CORDON_NET_ADDRESS_H_

// Addresses of both families in one form, and what is special about them.

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cordon::net {

// IPv4 as ::ffff:a.b.c.d, so that a program that writes it so reaches the same rules.
struct Address {
  std::array<uint8_t, 16> bytes{};

  [[nodiscard]] static Address Ipv4(std::array<uint8_t, 4> bytes);
  [[nodiscard]] bool is_ipv4() const;
  [[nodiscard]] std::string ToString() const;
  auto operator<=>(const Address&) const = default;
};

// None if it is not one, in its usual form; no name, no scope.
[[nodiscard]] std::optional<Address> ParseAddress(std::string_view text);

struct Endpoint {
  Address address;
  uint16_t port = 0;

  // "192.0.2.1:80", "[2001:db8::1]:80"
  [[nodiscard]] std::string ToString() const;
  auto operator<=>(const Endpoint&) const = default;
};

[[nodiscard]] Endpoint EndpointOf(const sockaddr_storage& from);
// Of the family that `from` has.
[[nodiscard]] socklen_t FillSockaddr(const Endpoint& from, sockaddr_storage* to);

// A range of addresses that are no ordinary ones of the public internet.
struct SpecialRange {
  std::array<uint8_t, 16> address;
  int prefix_bits;  // IPv4 counts from 96
  // What a rule must name to mean it. Whoever answers for a name chooses its addresses: at a
  // machine's own services, such as the one that gives away a cloud's credentials, he is not let.
  enum class By { kName, kAddress } by;
  const char* what;  // "private", "link-local", "metadata service", …
};
// The one that an address lies in, null if it is ordinary. After the registries of special-purpose
// addresses of IANA, and what clouds added.
[[nodiscard]] const SpecialRange* FindSpecialRange(const Address& address);

// The IPv4 address that an IPv6 one stands for by translation or tunnel: NAT64, 6to4, Teredo, …
[[nodiscard]] std::optional<Address> EmbeddedIpv4(const Address& address);

}  // namespace cordon::net

#endif  // CORDON_NET_ADDRESS_H_
