#ifndef CORDON_PACKAGES_URL_H_
#define CORDON_PACKAGES_URL_H_

// Where a package comes from. An URL has one form, or is refused: whoever decides about its host
// and whoever connects must not read two different hosts in it.

#include <cstdint>
#include <string>
#include <string_view>

#include "packages/error.h"

namespace cordon::packages {

// https alone: no user, no trailing dot, no escapes in the host, lower case.
struct Url {
  std::string host;  // a name, or an address, IPv6 without its brackets
  uint16_t port = 443;
  std::string path = "/";  // and query; no fragment

  [[nodiscard]] std::string ToString() const;
  bool operator==(const Url&) const = default;
};

// kHostDenied for a host that is written so that it may be taken for another, kFetch for what is
// no URL, or one of another scheme. `text` may be anything.
[[nodiscard]] PackageResult<Url> ParseUrl(std::string_view text);
// What a page at `base` means by `location`: a redirect, or an entry of an index.
[[nodiscard]] PackageResult<Url> ParseLocation(const Url& base, std::string_view location);

// "mytool" of ".../mytool.wasm?x=1"; empty when there is none.
[[nodiscard]] std::string NameOf(const Url& url);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_URL_H_
