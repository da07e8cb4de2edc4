#include "packages/url.h"

#include <algorithm>
#include <charconv>

namespace cordon::packages {
namespace {

constexpr std::string_view kScheme = "https://";
constexpr size_t kLongestUrl = 2048;
constexpr size_t kLongestHost = 253;
constexpr size_t kLongestLabel = 63;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

std::unexpected<PackageError> InvalidUrl(std::string_view text) {
  return Refuse(PackageCode::kFetch, "invalid URL '" + Shown(text) + "'");
}

bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool IsLabel(std::string_view label) {
  return !label.empty() && label.size() <= kLongestLabel && label.front() != '-' &&
         label.back() != '-' && std::ranges::all_of(label, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
         });
}

bool IsHostName(std::string_view host) {
  if (host.empty() || host.size() > kLongestHost) return false;
  for (size_t at = 0; at <= host.size();) {
    const size_t end = std::min(host.find('.', at), host.size());
    if (!IsLabel(host.substr(at, end - at))) return false;
    at = end + 1;
  }
  return true;
}

// "[::1]"; what follows the bracket is left in `rest`.
bool TakeAddress6(std::string_view authority, Url* url, std::string_view* rest) {
  const size_t end = authority.find(']');
  if (end == std::string_view::npos) return false;
  url->host = Lower(authority.substr(1, end - 1));
  *rest = authority.substr(end + 1);
  return url->host.find(':') != std::string::npos &&
         std::ranges::all_of(url->host, [](char c) { return IsHex(c) || c == ':' || c == '.'; });
}

// Ways in which one host is made to look like another.
bool IsDisguised(std::string_view authority) {
  const bool has_strange = std::ranges::any_of(
      authority, [](char c) { return c <= ' ' || c > '~' || c == '@' || c == '\\' || c == '%'; });
  const std::string_view host = authority.substr(0, authority.find(':'));
  return has_strange || host.ends_with('.');
}

PackageResult<Url> ParseAuthority(std::string_view authority, std::string_view whole) {
  if (IsDisguised(authority)) {
    return Refuse(PackageCode::kHostDenied,
                  "Host '" + Shown(authority) + "' is not in the allowed hosts list");
  }
  Url url;
  std::string_view port;
  if (authority.starts_with('[')) {
    if (!TakeAddress6(authority, &url, &port)) return InvalidUrl(whole);
  } else {
    const size_t colon = std::min(authority.find(':'), authority.size());
    url.host = Lower(authority.substr(0, colon));
    port = authority.substr(colon);
    if (!IsHostName(url.host)) return InvalidUrl(whole);
  }
  if (port.empty()) return url;
  const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), url.port);
  const bool is_port = port[0] == ':' && port.size() > 1 && error == std::errc() &&
                       end == port.data() + port.size() && url.port > 0;
  if (!is_port) return InvalidUrl(whole);
  return url;
}

bool IsPath(std::string_view path) {
  return std::ranges::all_of(path, [](char c) {
    return c > ' ' && c <= '~' && c != '\\' && c != '"' && c != '<' && c != '>' && c != '^' &&
           c != '`' && c != '{' && c != '|' && c != '}';
  });
}

}  // namespace

std::string Url::ToString() const {
  const bool is_address6 = host.find(':') != std::string::npos;
  return std::string(kScheme) + (is_address6 ? "[" + host + "]" : host) +
         (port == 443 ? "" : ":" + std::to_string(port)) + path;
}

PackageResult<Url> ParseUrl(std::string_view text) {
  if (text.size() > kLongestUrl || Lower(text.substr(0, kScheme.size())) != kScheme) {
    return InvalidUrl(text);
  }
  std::string_view rest = text.substr(kScheme.size());
  rest = rest.substr(0, rest.find('#'));
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  PackageResult<Url> url = ParseAuthority(rest.substr(0, end), text);
  if (!url) return url;
  const std::string_view path = rest.substr(end);
  if (!IsPath(path)) return InvalidUrl(text);
  url->path = path.starts_with('/') ? std::string(path) : "/" + std::string(path);
  return url;
}

PackageResult<Url> ParseLocation(const Url& base, std::string_view location) {
  if (location.starts_with("//")) return ParseUrl("https:" + std::string(location));
  // A scheme comes before everything that a path has.
  const size_t colon = location.find(':');
  if (colon < location.find_first_of("/?#")) return ParseUrl(location);
  Url whole = base;
  const std::string folder = base.path.substr(0, base.path.find('?'));
  whole.path = location.starts_with('/')
                   ? std::string(location)
                   : folder.substr(0, folder.rfind('/') + 1) + std::string(location);
  return ParseUrl(whole.ToString());
}

std::string NameOf(const Url& url) {
  std::string_view path(url.path);
  path = path.substr(0, path.find('?'));
  std::string_view name = path.substr(path.rfind('/') + 1);
  constexpr std::string_view kSuffix = ".wasm";
  if (name.ends_with(kSuffix)) name.remove_suffix(kSuffix.size());
  return std::string(name);
}

}  // namespace cordon::packages
