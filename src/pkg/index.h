#ifndef CORDON_PKG_INDEX_H_
#define CORDON_PKG_INDEX_H_

// A list of packages that any static web server can serve: pkg-index.json with the hash of each.

#include <map>
#include <string>

#include "pkg/policy.h"

namespace cordon::pkg {

struct IndexEntry {
  Url url;
  std::string hash;
  uint64_t size = 0;
  std::string description;
};
using Index = std::map<std::string, IndexEntry>;

inline constexpr uint64_t kMaxIndexBytes = uint64_t{4} << 20;

// URLs in it are seen from `base`. All of it is right, or it is refused: E_PKG_FETCH.
[[nodiscard]] PackageResult<Index> ParseIndex(const Url& base, std::string_view text);

}  // namespace cordon::pkg

#endif  // CORDON_PKG_INDEX_H_
