#ifndef CORDON_PACKAGES_BUILD_INDEX_H_
#define CORDON_PACKAGES_BUILD_INDEX_H_

// pkg-index.json of a folder with modules, for any web server that serves files.

#include <cstdint>
#include <string>

#include "base/error.h"
#include "packages/fetcher_process.h"

namespace cordon::packages {

struct IndexRequest {
  std::string folder;
  std::string key_file;  // PEM of an Ed25519 private key; empty: the index is not signed
};
struct BuiltIndex {
  size_t packages = 0;
  uint64_t bytes = 0;
  std::string public_key;  // for indexKey; empty: not signed
};

// Every NAME.wasm of the folder becomes an entry; descriptions that the index has already stay. A
// file that is no module, or whose name no package may have, is an error that names it: an index
// has all or nothing. Both files are written whole, and put into place one after the other.
[[nodiscard]] Result<BuiltIndex> BuildIndex(const Fetcher& fetcher, const IndexRequest& request);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_BUILD_INDEX_H_
