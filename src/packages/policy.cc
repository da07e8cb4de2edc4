#include "packages/policy.h"

#include <algorithm>

namespace cordon::packages {
namespace {

using Json = nlohmann::json;
using policy::HostRule;

constexpr size_t kLongestName = 64;
constexpr uint64_t kMostBytes = uint64_t{512} << 20;
constexpr uint64_t kMostInstalled = 400;  // of which the code window has entries for two tiers
constexpr size_t kMostHosts = 1000;
constexpr uint16_t kHttps = 443;

bool TakeFlag(const Json& value, bool* flag) {
  if (value.is_boolean()) *flag = value.get<bool>();
  return value.is_boolean();
}

bool TakeNumber(const Json& value, uint64_t least, uint64_t most, uint64_t* number) {
  // JavaScript has no other numbers.
  const bool is_whole = value.is_number_float() && value.get<double>() >= 0 &&
                        value.get<double>() < 1e15 &&
                        value.get<double>() == static_cast<double>(value.get<uint64_t>());
  if (!value.is_number_unsigned() && !is_whole) return false;
  const auto given = value.get<uint64_t>();
  if (given < least || given > most) return false;
  *number = given;
  return true;
}

bool TakeHosts(const Json& value, Policy* policy) {
  if (!value.is_array() || value.size() > kMostHosts) return false;
  std::vector<HostRule> hosts;
  for (const Json& host : value) {
    if (!host.is_string()) return false;
    const std::optional<HostRule> rule = policy::ParseHostRule(host.get<std::string>());
    if (!rule) return false;
    hosts.push_back(*rule);
  }
  policy->allowed_hosts = std::move(hosts);
  return true;
}

bool TakeText(const Json& value, std::string* text) {
  if (value.is_string()) *text = value.get<std::string>();
  return value.is_string();
}

bool TakeMember(const std::string& name, const Json& value, Policy* policy) {
  if (name == "enabled") return TakeFlag(value, &policy->enabled);
  if (name == "allowedHosts") return TakeHosts(value, policy);
  if (name == "maxPackageBytes") {
    return TakeNumber(value, 1, kMostBytes, &policy->max_package_bytes);
  }
  if (name == "maxInstalledPackages") {
    return TakeNumber(value, 0, kMostInstalled, &policy->max_installed);
  }
  if (name == "requireIntegrity") return TakeFlag(value, &policy->require_integrity);
  if (name == "allowShadowing") return TakeFlag(value, &policy->allow_shadowing);
  if (name == "allowPrivateHosts") return TakeFlag(value, &policy->allow_private_hosts);
  if (name == "index") return TakeText(value, &policy->index) && ParseUrl(policy->index);
  if (name == "indexKey") return TakeText(value, &policy->index_key);
  return false;
}

bool CoversAddress(const HostRule& rule, const net::Address& address) {
  if (rule.kind != HostRule::Kind::kAddress) return false;
  for (int bit = 0; bit < rule.prefix_bits; ++bit) {
    const auto mask = static_cast<uint8_t>(0x80U >> (bit % 8));
    const auto byte = static_cast<size_t>(bit / 8);
    if (((rule.address[byte] ^ address.bytes[byte]) & mask) != 0) return false;
  }
  return true;
}

bool Allows(const HostRule& rule, const Url& url) {
  if (url.port != (rule.port == 0 ? kHttps : rule.port)) return false;
  switch (rule.kind) {
    case HostRule::Kind::kName:
      return url.host == rule.name;
    case HostRule::Kind::kBelow:
      return url.host.size() > rule.name.size() + 1 && url.host.ends_with("." + rule.name);
    case HostRule::Kind::kAddress: {
      const auto address = net::ParseAddress(url.host);
      return address && CoversAddress(rule, *address);
    }
  }
  return false;
}

const net::SpecialRange* SpecialOf(const net::Address& address) {
  if (const net::SpecialRange* special = net::FindSpecialRange(address);
      special != nullptr && special->what != nullptr) {
    return special;
  }
  const auto embedded = net::EmbeddedIpv4(address);
  const net::SpecialRange* special = embedded ? net::FindSpecialRange(*embedded) : nullptr;
  return special != nullptr && special->what != nullptr ? special : nullptr;
}

}  // namespace

std::expected<Policy, std::string> ParsePolicy(const Json& value) {
  Policy policy;
  if (!value.is_object()) return std::unexpected("packagePolicy must be an object");
  for (const auto& [name, member] : value.items()) {
    // What a caller leaves undefined arrives so.
    if (member.is_null()) continue;
    if (!TakeMember(name, member, &policy)) {
      return std::unexpected("packagePolicy." + Shown(name) +
                             " is not known, or has no value that it may have");
    }
  }
  return policy;
}

PackageStatus CheckHost(const Policy& policy, const Url& url) {
  if (!policy.enabled) {
    return Refuse(PackageCode::kDisabled, "Package installation is disabled");
  }
  if (!policy.allowed_hosts) return {};
  const bool is_allowed = std::ranges::any_of(
      *policy.allowed_hosts, [&](const HostRule& rule) { return Allows(rule, url); });
  if (is_allowed) return {};
  const std::string port = url.port == kHttps ? "" : ":" + std::to_string(url.port);
  return Refuse(PackageCode::kHostDenied,
                "Host '" + Shown(url.host) + port + "' is not in the allowed hosts list");
}

PackageStatus CheckAddress(const Policy& policy, const std::string& host,
                           const net::Address& address) {
  const net::SpecialRange* special = SpecialOf(address);
  if (special == nullptr || policy.allow_private_hosts) return {};
  const bool is_named =
      policy.allowed_hosts && std::ranges::any_of(*policy.allowed_hosts, [&](const HostRule& rule) {
        return CoversAddress(rule, address);
      });
  if (is_named) return {};
  return Refuse(PackageCode::kHostDenied, "Host '" + Shown(host) + "' has the address " +
                                              address.ToString() + " (" + special->what +
                                              "), which this policy does not allow");
}

PackageStatus CheckName(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kLongestName && name[0] != '.' &&
                    name[0] != '-' && std::ranges::all_of(name, [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                             (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_' || c == '+';
                    });
  if (fits) return {};
  return Refuse(PackageCode::kInvalidName, "Invalid package name: '" + Shown(name) + "'");
}

PackageStatus CheckSize(const Policy& policy, uint64_t size) {
  if (size <= policy.max_package_bytes) return {};
  return Refuse(PackageCode::kTooLarge, "Package size " + std::to_string(size) +
                                            " exceeds limit of " +
                                            std::to_string(policy.max_package_bytes) + " bytes");
}

std::optional<std::string> CleanHash(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  constexpr size_t kDigits = 64;
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  std::string hash(text);
  for (char& c : hash) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) return std::nullopt;
  }
  if (hash.size() != kDigits) return std::nullopt;
  return hash;
}

PackageStatus CheckIntegrity(const Policy& policy, const std::string& expected,
                             const std::string& got) {
  if (expected.empty() && policy.require_integrity) {
    return Refuse(PackageCode::kIntegrity,
                  "Package policy requires an integrity hash but none was provided");
  }
  if (expected.empty() || expected == got) return {};
  return Refuse(PackageCode::kIntegrity, "SHA-256 mismatch: expected " + expected + ", got " + got);
}

}  // namespace cordon::packages
