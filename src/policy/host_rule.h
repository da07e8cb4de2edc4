#ifndef CORDON_POLICY_HOST_RULE_H_
#define CORDON_POLICY_HOST_RULE_H_

// One row of an allow-list: a name, all names below one, an address or a range of addresses, and
// ports.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cordon::policy {

struct HostRule {
  enum class Kind {
    kName,     // exactly `name`
    kBelow,    // any name below `name`, not itself
    kAddress,  // `prefix_bits` of `address`
  };
  Kind kind = Kind::kName;
  std::string name;                   // lower case, without a dot at its end
  std::array<uint8_t, 16> address{};  // IPv4 as ::ffff:a.b.c.d
  int prefix_bits = 128;              // IPv4 counts from 96
  uint16_t port = 0;                  // 0: 80 and 443

  // As it would be written: "*.example.org:8443", "10.0.0.0/8", "[2001:db8::1]:53".
  [[nodiscard]] std::string ToString() const;
  // Whether everything that `other` allows is allowed by this one.
  [[nodiscard]] bool Covers(const HostRule& other) const;
  // And also where that is private or this machine: it is this very host, or in a range of nothing
  // else. "0.0.0.0/0" and "*.example" mean what is public.
  [[nodiscard]] bool CoversPrivate(const HostRule& other) const;
  // An address, or a range of nothing but such, that is no ordinary one of the public internet.
  [[nodiscard]] bool is_special() const;
};

// None if it is not one. Understood: "host", "*.domain", ".domain", ".*\.domain", addresses with or
// without /bits, and with a port: "host:8443", "[::1]:80".
[[nodiscard]] std::optional<HostRule> ParseHostRule(std::string_view text);

// The host and port of "https://user@host:port/path"; none if it is not a URL with a host. A URL
// of a scheme with a port of its own (ssh, git) has that.
[[nodiscard]] std::optional<HostRule> HostOfUrl(std::string_view url);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_HOST_RULE_H_
