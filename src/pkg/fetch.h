#ifndef CORDON_PKG_FETCH_H_
#define CORDON_PKG_FETCH_H_

// A file from a host of the policy. Here it is decided whether and where to connect, again at every
// redirect; the connection is handed to a process that speaks TLS and HTTP on it and can do nothing
// else.

#include <functional>
#include <string>

#include "base/owned_fd.h"
#include "pkg/policy.h"

namespace cordon::pkg {

struct Fetcher {
  std::string program;  // cordon-fetch
  std::string ca_file;  // of authorities, PEM
};

struct Fetched {
  OwnedFd file;  // in memory
  uint64_t size = 0;
};

// Bytes that came, and of how many; -1: unknown.
using FetchProgress = std::function<void(int64_t done, int64_t total)>;

// E_PKG_DISABLED, E_PKG_HOST_DENIED, E_PKG_TOO_LARGE, E_PKG_FETCH. Waits; not for a daemon's thread.
[[nodiscard]] PackageResult<Fetched> Fetch(const Fetcher& fetcher, const Policy& policy, Url url,
                                           uint64_t most_bytes, const FetchProgress& progress);

}  // namespace cordon::pkg

#endif  // CORDON_PKG_FETCH_H_
