#ifndef CORDON_PACKAGES_INDEX_H_
#define CORDON_PACKAGES_INDEX_H_

// A list of packages on a web server: pkg-index.json, as `cordon pkg build-index` writes it.
//
//   {"version": 1, "packages": {"NAME": {"url": "NAME.wasm", "sha256": "…", "size": 1234,
//                                        "description": "…"}}}
//
// An url is seen from the index's own. Its signature lies beside it, with ".minisig" at the end.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "packages/error.h"
#include "packages/url.h"

namespace cordon::packages {

inline constexpr uint64_t kMostIndexBytes = uint64_t{8} << 20;
inline constexpr const char* kIndexFile = "pkg-index.json";
inline constexpr const char* kSignatureSuffix = ".minisig";

struct IndexEntry {
  Url url;
  std::string hash;  // SHA-256, 64 digits
  uint64_t size = 0;
  std::string description;  // printable
};
using Index = std::map<std::string, IndexEntry>;

// `text` may be anything; kIndex says what is wrong with it.
[[nodiscard]] PackageResult<Index> ParseIndex(const Url& base, std::string_view text);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_INDEX_H_
