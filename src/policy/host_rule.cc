#include "policy/host_rule.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "net/address.h"

namespace cordon::policy {
namespace {

constexpr int kIpv4Start = 96;
constexpr std::array<uint8_t, 12> kIpv4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text, unsigned least, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    return std::nullopt;
  }
  return static_cast<Number>(value);
}

// Fills in kind, address and prefix_bits.
bool ParseAddress(std::string_view text, HostRule* rule) {
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  // A NUL would end the text for the C library and not for us.
  if (address.contains('\0')) return false;
  std::array<uint8_t, 16> bytes{};
  int start = 0;
  if (inet_pton(AF_INET, address.c_str(), bytes.data() + kIpv4Prefix.size()) == 1) {
    std::ranges::copy(kIpv4Prefix, bytes.begin());
    start = kIpv4Start;
  } else if (inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) {
    return false;
  }
  rule->prefix_bits = 128;
  if (slash != std::string_view::npos) {
    const auto bits =
        ParseNumber<int>(text.substr(slash + 1), 0, static_cast<unsigned>(128 - start));
    if (!bits) return false;
    rule->prefix_bits = start + *bits;
  }
  for (int bit = rule->prefix_bits; bit < 128; ++bit) {
    uint8_t& byte = bytes[static_cast<size_t>(bit) / 8];
    byte = static_cast<uint8_t>(byte & ~(0x80U >> (static_cast<unsigned>(bit) % 8)));
  }
  rule->kind = HostRule::Kind::kAddress;
  rule->address = bytes;
  return true;
}

bool IsLabel(std::string_view label) {
  constexpr size_t kMaxLabel = 63;
  return !label.empty() && label.size() <= kMaxLabel && label.front() != '-' &&
         label.back() != '-' && std::ranges::all_of(label, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

bool IsName(std::string_view name) {
  constexpr size_t kMaxName = 253;
  if (name.size() > kMaxName) return false;
  while (true) {
    const size_t dot = name.find('.');
    if (!IsLabel(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) break;
    name.remove_prefix(dot + 1);
  }
  // A last label of digits would be taken for an address by some resolvers.
  return !std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

bool ParseName(std::string_view text, HostRule* rule) {
  rule->kind = HostRule::Kind::kName;
  for (const std::string_view prefix : {".*\\.", "*.", "."}) {
    if (!text.starts_with(prefix)) continue;
    rule->kind = HostRule::Kind::kBelow;
    text.remove_prefix(prefix.size());
    break;
  }
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string name(text);
  // As it is written in the other form: "\." for a dot.
  for (size_t at = name.find("\\."); at != std::string::npos; at = name.find("\\.", at)) {
    name.erase(at, 1);
  }
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  if (!IsName(name)) return false;
  rule->name = std::move(name);
  return true;
}

struct SchemePort {
  std::string_view scheme;
  uint16_t port;
};
constexpr SchemePort kSchemePorts[] = {
    {"https", 443},        {"http", 80},          {"ssh", 22},        {"git", 9418},
    {"git+ssh", 22},       {"git+https", 443},    {"git+http", 80},   {"registry+https", 443},
    {"sparse+https", 443}, {"registry+http", 80}, {"sparse+http", 80}};

}  // namespace

std::string HostRule::ToString() const {
  std::string text = kind == Kind::kBelow ? "*." + name : name;
  if (kind == Kind::kAddress) {
    const bool is_ipv4 = prefix_bits >= kIpv4Start &&
                         std::equal(kIpv4Prefix.begin(), kIpv4Prefix.end(), address.begin());
    char buffer[INET6_ADDRSTRLEN];
    text = inet_ntop(is_ipv4 ? AF_INET : AF_INET6,
                     address.data() + (is_ipv4 ? kIpv4Prefix.size() : 0), buffer, sizeof buffer);
    if (prefix_bits < 128) text += "/" + std::to_string(prefix_bits - (is_ipv4 ? kIpv4Start : 0));
    if (port != 0 && !is_ipv4) text = "[" + text + "]";
  }
  return port == 0 ? text : text + ":" + std::to_string(port);
}

bool HostRule::Covers(const HostRule& other) const {
  if (port != other.port && !(port == 0 && (other.port == 80 || other.port == 443))) return false;
  if ((kind == Kind::kAddress) != (other.kind == Kind::kAddress)) return false;
  switch (kind) {
    case Kind::kName:
      return other.kind == Kind::kName && other.name == name;
    case Kind::kBelow:
      return other.name.ends_with("." + name) || (other.kind == Kind::kBelow && other.name == name);
    case Kind::kAddress:
      break;
  }
  if (other.prefix_bits < prefix_bits) return false;
  for (int bit = 0; bit < prefix_bits; ++bit) {
    const auto at = static_cast<size_t>(bit);
    if (((address[at / 8] ^ other.address[at / 8]) & (0x80U >> (at % 8))) != 0) return false;
  }
  return true;
}

bool HostRule::CoversPrivate(const HostRule& other) const {
  constexpr int kOne = 128;
  if (!Covers(other)) return false;
  if (kind != Kind::kAddress) return kind == Kind::kName;
  const net::SpecialRange* range = net::FindSpecialRange({other.address});
  return prefix_bits >= (range == nullptr ? kOne : range->prefix_bits);
}

bool HostRule::is_special() const {
  if (kind != Kind::kAddress) return false;
  const net::SpecialRange* range = net::FindSpecialRange({address});
  return range != nullptr && prefix_bits >= range->prefix_bits;
}

std::optional<HostRule> ParseHostRule(std::string_view text) {
  HostRule rule;
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (host.find(':') == std::string_view::npos) return std::nullopt;
  } else if (std::ranges::count(text, ':') == 1) {
    host = text.substr(0, text.find(':'));
    port = text.substr(host.size());
  }
  if (!port.empty()) {
    const auto number = ParseNumber<uint16_t>(port.substr(1), 1, 65535);
    if (port.front() != ':' || !number) return std::nullopt;
    rule.port = *number;
  }
  if (!ParseAddress(host, &rule) && !ParseName(host, &rule)) return std::nullopt;
  return rule;
}

std::optional<HostRule> HostOfUrl(std::string_view url) {
  const size_t colon = url.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view scheme = url.substr(0, colon);
  const auto* known = std::ranges::find(kSchemePorts, scheme, &SchemePort::scheme);
  if (known == std::end(kSchemePorts)) return std::nullopt;
  std::string_view host = url.substr(colon + 3);
  host = host.substr(0, host.find_first_of("/?#\\"));
  if (const size_t at = host.rfind('@'); at != std::string_view::npos) host.remove_prefix(at + 1);
  std::optional<HostRule> rule = ParseHostRule(host);
  if (!rule || rule->kind == HostRule::Kind::kBelow || rule->prefix_bits < 128) return std::nullopt;
  if (rule->port == 0) rule->port = known->port;
  return rule;
}

}  // namespace cordon::policy
