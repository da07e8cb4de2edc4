#ifndef CORDON_PKG_POLICY_H_
#define CORDON_PKG_POLICY_H_

// What may be installed in a sandbox, from where, and under which names. All of it is decided
// outside the sandbox; nothing here asks a guest.

#include <cstdint>
#include <expected>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cordon::pkg {

// As clients know them: a code and a sentence.
struct PackageError {
  std::string code;  // "E_PKG_…"
  std::string message;
};
template <typename T>
using PackageResult = std::expected<T, PackageError>;
using PackageStatus = std::expected<void, PackageError>;

[[nodiscard]] std::unexpected<PackageError> Refuse(const char* code, std::string message);

struct Policy {
  bool enabled = false;
  // "example.com" exactly, "*.example.com" everything below it. None: every host with a public
  // address.
  std::optional<std::vector<std::string>> allowed_hosts;
  uint64_t max_package_bytes = uint64_t{64} << 20;
  uint64_t max_installed = 100;
  bool require_integrity = false;
  bool allow_shadowing = false;  // of programs that are there
  std::string index;             // URL; empty: none
  std::string index_key;         // Ed25519, base64 of its 32 bytes; empty: signatures are not asked for
};

// Member by member; one that is not known, or of another type, is refused by name.
[[nodiscard]] std::expected<Policy, std::string> ParsePolicy(const nlohmann::json& value);

// https alone, with a host in one form: no user, no trailing dot, no escapes, lower case.
struct Url {
  std::string host;  // a name, or an address, IPv6 without its brackets
  uint16_t port = 443;
  std::string path;  // and query; begins with '/'

  [[nodiscard]] std::string ToString() const;
};
[[nodiscard]] PackageResult<Url> ParseUrl(std::string_view text);
// A redirect, seen from the page that sent it.
[[nodiscard]] PackageResult<Url> ParseLocation(const Url& base, std::string_view location);

// Whether a connection may be made at all; E_PKG_DISABLED, E_PKG_HOST_DENIED.
[[nodiscard]] PackageStatus CheckHost(const Policy& policy, const Url& url);
// The policy names this very host, so it may be one of this machine's network.
[[nodiscard]] bool NamesHost(const Policy& policy, const std::string& host);

[[nodiscard]] PackageStatus CheckName(std::string_view name);
// "mytool" of ".../mytool.wasm?x=1"; empty when there is none.
[[nodiscard]] std::string NameOf(const Url& url);

// 64 hexadecimal digits, in lower case; nothing: it is no hash.
[[nodiscard]] std::optional<std::string> CleanHash(std::string_view text);
[[nodiscard]] PackageStatus CheckIntegrity(const Policy& policy, const std::string& expected,
                                           const std::string& got);

}  // namespace cordon::pkg

#endif  // CORDON_PKG_POLICY_H_
