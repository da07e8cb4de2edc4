#include "pkg/policy.h"

#include <algorithm>
#include <charconv>

namespace cordon::pkg {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxUrl = 2048;
constexpr size_t kMaxHost = 253;
constexpr size_t kMaxName = 64;
constexpr uint64_t kMostBytes = uint64_t{512} << 20;
constexpr uint64_t kMostInstalled = 1000;

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}
bool IsHex(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'f');
}
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

// For a message: no control characters, and not without end.
std::string Shown(std::string_view text) {
  constexpr size_t kMost = 200;
  std::string shown(text.substr(0, kMost));
  std::ranges::replace_if(shown, [](char c) { return c < ' ' || c > '~'; }, '?');
  return shown;
}

std::unexpected<PackageError> InvalidUrl(std::string_view text) {
  return Refuse("E_PKG_FETCH", "invalid URL '" + Shown(text) + "'");
}

std::unexpected<PackageError> DeniedHost(std::string_view host) {
  return Refuse("E_PKG_HOST_DENIED", "Host '" + Shown(host) + "' is not in the allowed hosts list");
}

bool IsAddress6(std::string_view host) {
  return std::ranges::all_of(host, [](char c) { return IsHex(c) || c == ':' || c == '.'; });
}

// Labels of letters, digits and inner hyphens. Two names that are written differently are different.
bool IsHostName(std::string_view host) {
  if (host.empty() || host.size() > kMaxHost) return false;
  for (size_t at = 0; at <= host.size();) {
    const size_t end = std::min(host.find('.', at), host.size());
    const std::string_view label = host.substr(at, end - at);
    const bool fits = !label.empty() && label.size() <= 63 && label.front() != '-' &&
                      label.back() != '-' &&
                      std::ranges::all_of(label, [](char c) {
                        return IsDigit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
                      });
    if (!fits) return false;
    at = end + 1;
  }
  return true;
}

PackageResult<Url> ParseAuthority(std::string_view authority, std::string_view whole) {
  // What a browser would take for a user is how one host is made to look like another.
  if (authority.find('@') != std::string_view::npos) return DeniedHost(authority);
  Url url;
  std::string_view port;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return InvalidUrl(whole);
    url.host = Lower(authority.substr(1, end - 1));
    port = authority.substr(end + 1);
    if (url.host.find(':') == std::string::npos || !IsAddress6(url.host)) return InvalidUrl(whole);
  } else {
    const size_t colon = authority.find(':');
    url.host = Lower(authority.substr(0, colon));
    port = colon == std::string_view::npos ? "" : authority.substr(colon);
    if (url.host.ends_with('.')) return DeniedHost(authority);
    if (!IsHostName(url.host)) return InvalidUrl(whole);
  }
  if (port.empty()) return url;
  const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), url.port);
  const bool is_port = port[0] == ':' && port.size() > 1 && error == std::errc() &&
                       end == port.data() + port.size() && url.port > 0;
  if (!is_port) return InvalidUrl(whole);
  return url;
}

bool TakeNumber(const Json& value, uint64_t least, uint64_t most, uint64_t* number) {
  if (!value.is_number_unsigned()) return false;
  const auto given = value.get<uint64_t>();
  if (given < least || given > most) return false;
  *number = given;
  return true;
}

bool TakeHosts(const Json& value, Policy* policy) {
  if (!value.is_array() || value.size() > 1000) return false;
  std::vector<std::string> hosts;
  for (const Json& host : value) {
    if (!host.is_string()) return false;
    const std::string text = Lower(host.get<std::string>());
    const std::string_view name = text.starts_with("*.") ? std::string_view(text).substr(2) : text;
    if (!IsHostName(name) && !(name.find(':') != std::string_view::npos && IsAddress6(name))) {
      return false;
    }
    hosts.push_back(text);
  }
  policy->allowed_hosts = std::move(hosts);
  return true;
}

bool TakeFlag(const Json& value, bool* flag) {
  if (value.is_boolean()) *flag = value.get<bool>();
  return value.is_boolean();
}

bool TakeMember(const std::string& name, const Json& value, Policy* policy) {
  if (name == "enabled") return TakeFlag(value, &policy->enabled);
  if (name == "requireIntegrity") return TakeFlag(value, &policy->require_integrity);
  if (name == "allowShadowing") return TakeFlag(value, &policy->allow_shadowing);
  if (name == "maxPackageBytes") return TakeNumber(value, 1, kMostBytes, &policy->max_package_bytes);
  if (name == "maxInstalledPackages") {
    return TakeNumber(value, 0, kMostInstalled, &policy->max_installed);
  }
  if (name == "allowedHosts") return TakeHosts(value, policy);
  if (name != "index" && name != "indexKey") return false;
  if (!value.is_string()) return false;
  (name == "index" ? policy->index : policy->index_key) = value.get<std::string>();
  return name == "indexKey" || ParseUrl(policy->index).has_value();
}

}  // namespace

std::unexpected<PackageError> Refuse(const char* code, std::string message) {
  return std::unexpected(PackageError{code, std::move(message)});
}

std::expected<Policy, std::string> ParsePolicy(const Json& value) {
  Policy policy;
  if (!value.is_object()) return std::unexpected("packagePolicy must be an object");
  for (const auto& [name, member] : value.items()) {
    if (member.is_null()) continue;
    if (!TakeMember(name, member, &policy)) {
      return std::unexpected("packagePolicy." + Shown(name) + " is not known, or is no value for it");
    }
  }
  return policy;
}

std::string Url::ToString() const {
  const bool is_address6 = host.find(':') != std::string::npos;
  return "https://" + (is_address6 ? "[" + host + "]" : host) +
         (port == 443 ? "" : ":" + std::to_string(port)) + path;
}

PackageResult<Url> ParseUrl(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  // Also a zero byte, a blank, a backslash: whoever reads on reads something else.
  const bool is_plain = text.size() <= kMaxUrl && std::ranges::all_of(text, [](char c) {
                          return c > ' ' && c < 0x7f && c != '\\' && c != '"' && c != '<' && c != '>';
                        });
  if (!is_plain || Lower(text.substr(0, kScheme.size())) != kScheme) return InvalidUrl(text);
  std::string_view rest = text.substr(kScheme.size());
  rest = rest.substr(0, rest.find('#'));
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  PackageResult<Url> url = ParseAuthority(rest.substr(0, end), text);
  if (!url) return url;
  url->path = rest.substr(end);
  if (!url->path.starts_with('/')) url->path.insert(0, "/");
  return url;
}

PackageResult<Url> ParseLocation(const Url& base, std::string_view location) {
  if (location.starts_with("//")) return ParseUrl("https:" + std::string(location));
  if (location.find("://") != std::string_view::npos) return ParseUrl(location);
  Url whole = base;
  whole.path = location.starts_with('/')
                   ? std::string(location)
                   : base.path.substr(0, base.path.substr(0, base.path.find('?')).rfind('/') + 1) +
                         std::string(location);
  return ParseUrl(whole.ToString());
}

PackageStatus CheckHost(const Policy& policy, const Url& url) {
  if (!policy.enabled) return Refuse("E_PKG_DISABLED", "Package installation is disabled");
  if (!policy.allowed_hosts) return {};
  for (const std::string& allowed : *policy.allowed_hosts) {
    const bool matches = allowed.starts_with("*.")
                             ? url.host.ends_with(std::string_view(allowed).substr(1)) &&
                                   url.host.size() > allowed.size() - 1
                             : url.host == allowed;
    if (matches) return {};
  }
  return DeniedHost(url.host);
}

bool NamesHost(const Policy& policy, const std::string& host) {
  return policy.allowed_hosts && std::ranges::find(*policy.allowed_hosts, host) != policy.allowed_hosts->end();
}

PackageStatus CheckName(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kMaxName && name[0] != '.' && name[0] != '-' &&
                    std::ranges::all_of(name, [](char c) {
                      return IsLetter(c) || IsDigit(c) || c == '.' || c == '-' || c == '_' || c == '+';
                    });
  if (fits) return {};
  return Refuse("E_PKG_INVALID_NAME", "Invalid package name: '" + Shown(name) + "'");
}

std::string NameOf(const Url& url) {
  std::string_view path(url.path);
  path = path.substr(0, path.find('?'));
  std::string_view name = path.substr(path.rfind('/') + 1);
  if (name.ends_with(".wasm")) name.remove_suffix(5);
  return std::string(name);
}

std::optional<std::string> CleanHash(std::string_view text) {
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  std::string hash = Lower(text);
  if (hash.size() != 64 || !std::ranges::all_of(hash, IsHex)) return std::nullopt;
  return hash;
}

PackageStatus CheckIntegrity(const Policy& policy, const std::string& expected,
                             const std::string& got) {
  if (expected.empty() && policy.require_integrity) {
    return Refuse("E_PKG_INTEGRITY",
                  "Package policy requires an integrity hash but none was provided");
  }
  if (expected.empty() || expected == got) return {};
  return Refuse("E_PKG_INTEGRITY", "SHA-256 mismatch: expected " + expected + ", got " + got);
}

}  // namespace cordon::pkg
