#ifndef CORDON_PACKAGES_POLICY_H_
#define CORDON_PACKAGES_POLICY_H_

// What may be installed in a sandbox, from where, and under which names. All of it is decided
// outside the sandbox; nothing here asks a guest.

#include <cstdint>
#include <expected>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "packages/error.h"
#include "packages/url.h"
#include "policy/host_rule.h"

namespace cordon::packages {

struct Policy {
  bool enabled = false;
  // Rows as those of network_allow ("example.com", "*.example.com", "host:8443", addresses);
  // without a port: 443. None: every host with a public address.
  std::optional<std::vector<policy::HostRule>> allowed_hosts;
  uint64_t max_package_bytes = uint64_t{64} << 20;
  uint64_t max_installed = 100;
  bool require_integrity = false;
  bool allow_shadowing = false;      // of programs that are there
  bool allow_private_hosts = false;  // addresses that are no ordinary ones of the internet
  std::string index;                 // URL; empty: none
  std::string index_key;             // minisign's public key; empty: no signature is asked for
};

// Member by member; one that is not known, or is no value for it, is named in the error.
[[nodiscard]] std::expected<Policy, std::string> ParsePolicy(const nlohmann::json& value);

// Whether a connection to the host may be made at all: kDisabled, kHostDenied.
[[nodiscard]] PackageStatus CheckHost(const Policy& policy, const Url& url);
// Whether it may be made to this address of the host.
[[nodiscard]] PackageStatus CheckAddress(const Policy& policy, const std::string& host,
                                         const net::Address& address);

// One component of a path, that is no option and not hidden: kInvalidName.
[[nodiscard]] PackageStatus CheckName(std::string_view name);

[[nodiscard]] PackageStatus CheckSize(const Policy& policy, uint64_t size);

// 64 hexadecimal digits, in lower case; nothing: it is no hash.
[[nodiscard]] std::optional<std::string> CleanHash(std::string_view text);
// `expected` may be empty: kIntegrity if one is required, or if it is another than `got`.
[[nodiscard]] PackageStatus CheckIntegrity(const Policy& policy, const std::string& expected,
                                           const std::string& got);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_POLICY_H_
