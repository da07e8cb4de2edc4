#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace cordon::net {
namespace {

constexpr std::array<uint8_t, 12> kIpv4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

constexpr uint8_t High(unsigned group) {
  return static_cast<uint8_t>(group >> 8U);
}
constexpr uint8_t Low(unsigned group) {
  return static_cast<uint8_t>(group & 0xffU);
}

constexpr SpecialRange kIpv4Ranges[] = {
#define SPECIAL4(a, b, c, d, bits, by, what) \
  {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}, 96 + (bits), SpecialRange::By::by, what},
#define SPECIAL6(a, b, c, d, bits, by, what)
#include "net/special_addresses.def"
#undef SPECIAL4
#undef SPECIAL6
};

constexpr SpecialRange kIpv6Ranges[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, SpecialRange::By::kName, "loopback"},
#define SPECIAL4(a, b, c, d, bits, by, what)
#define SPECIAL6(a, b, c, d, bits, by, what)                                                     \
  {{High(a), Low(a), High(b), Low(b), High(c), Low(c), High(d), Low(d), 0, 0, 0, 0, 0, 0, 0, 0}, \
   bits,                                                                                         \
   SpecialRange::By::by,                                                                         \
   what},
#include "net/special_addresses.def"
#undef SPECIAL4
#undef SPECIAL6
};

bool IsWithin(const std::array<uint8_t, 16>& address, const SpecialRange& range) {
  const auto whole = static_cast<size_t>(range.prefix_bits) / 8;
  if (!std::equal(address.begin(), address.begin() + whole, range.address.begin())) return false;
  const unsigned rest = static_cast<unsigned>(range.prefix_bits) % 8;
  if (rest == 0) return true;
  return ((address[whole] ^ range.address[whole]) >> (8 - rest)) == 0;
}

bool IsZero(std::span<const uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](uint8_t byte) { return byte == 0; });
}

}  // namespace

Address Address::Ipv4(std::array<uint8_t, 4> bytes) {
  Address address;
  std::ranges::copy(kIpv4Prefix, address.bytes.begin());
  std::ranges::copy(bytes, address.bytes.begin() + kIpv4Prefix.size());
  return address;
}

bool Address::is_ipv4() const {
  return std::equal(kIpv4Prefix.begin(), kIpv4Prefix.end(), bytes.begin());
}

std::string Address::ToString() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (is_ipv4()) return inet_ntop(AF_INET, bytes.data() + kIpv4Prefix.size(), text, sizeof text);
  return inet_ntop(AF_INET6, bytes.data(), text, sizeof text);
}

std::optional<Address> ParseAddress(std::string_view text) {
  // A NUL would end the text for the C library and not for us.
  if (text.size() >= INET6_ADDRSTRLEN || text.contains('\0')) return std::nullopt;
  const std::string copy(text);
  std::array<uint8_t, 4> ipv4{};
  if (inet_pton(AF_INET, copy.c_str(), ipv4.data()) == 1) return Address::Ipv4(ipv4);
  Address address;
  if (inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::string Endpoint::ToString() const {
  const std::string host = address.ToString();
  return (address.is_ipv4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

Endpoint EndpointOf(const sockaddr_storage& from) {
  Endpoint endpoint;
  if (from.ss_family == AF_INET) {
    sockaddr_in ipv4 = {};
    memcpy(&ipv4, &from, sizeof ipv4);
    std::array<uint8_t, 4> bytes{};
    memcpy(bytes.data(), &ipv4.sin_addr, bytes.size());
    endpoint = {Address::Ipv4(bytes), ntohs(ipv4.sin_port)};
  } else if (from.ss_family == AF_INET6) {
    sockaddr_in6 ipv6 = {};
    memcpy(&ipv6, &from, sizeof ipv6);
    memcpy(endpoint.address.bytes.data(), &ipv6.sin6_addr, endpoint.address.bytes.size());
    endpoint.port = ntohs(ipv6.sin6_port);
  }
  return endpoint;
}

socklen_t FillSockaddr(const Endpoint& from, sockaddr_storage* to) {
  *to = {};
  if (from.address.is_ipv4()) {
    sockaddr_in ipv4 = {};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(from.port);
    memcpy(&ipv4.sin_addr, from.address.bytes.data() + kIpv4Prefix.size(), sizeof ipv4.sin_addr);
    memcpy(to, &ipv4, sizeof ipv4);
    return sizeof ipv4;
  }
  sockaddr_in6 ipv6 = {};
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(from.port);
  memcpy(&ipv6.sin6_addr, from.address.bytes.data(), sizeof ipv6.sin6_addr);
  memcpy(to, &ipv6, sizeof ipv6);
  return sizeof ipv6;
}

const SpecialRange* FindSpecialRange(const Address& address) {
  const std::span<const SpecialRange> ranges =
      address.is_ipv4() ? std::span<const SpecialRange>(kIpv4Ranges) : kIpv6Ranges;
  const auto found = std::ranges::find_if(
      ranges, [&](const SpecialRange& range) { return IsWithin(address.bytes, range); });
  return found == ranges.end() || found->what == nullptr ? nullptr : &*found;
}

std::optional<Address> EmbeddedIpv4(const Address& address) {
  const auto& bytes = address.bytes;
  const auto at = [&](size_t offset) {
    return Address::Ipv4({bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]});
  };
  if (address.is_ipv4()) return std::nullopt;
  constexpr size_t kLast = 12;
  const std::span<const uint8_t> whole(bytes);
  const bool is_nat64 = bytes[0] == 0 && bytes[1] == 0x64 && bytes[2] == 0xff && bytes[3] == 0x9b;
  // ::a.b.c.d (not ::1) and ::ffff:0:a.b.c.d, both out of use but in the kernel's and in
  // translators' hands.
  const bool is_compatible = IsZero(whole.first(kLast)) && !IsZero(whole.subspan(kLast, 2));
  const bool is_translated = IsZero(whole.first(8)) && bytes[8] == 0xff && bytes[9] == 0xff &&
                             IsZero(whole.subspan(10, 2));
  if (is_nat64 || is_compatible || is_translated) return at(kLast);
  if (bytes[0] == 0x20 && bytes[1] == 0x02) return at(2);
  if (bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] == 0 && bytes[3] == 0) {
    // Teredo hides its client's address from translators by inverting it (RFC 4380).
    Address client = at(kLast);
    for (size_t i = kLast; i < bytes.size(); ++i) client.bytes[i] = static_cast<uint8_t>(~bytes[i]);
    return client;
  }
  return std::nullopt;
}

}  // namespace cordon::net
