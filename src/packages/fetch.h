#ifndef CORDON_PACKAGES_FETCH_H_
#define CORDON_PACKAGES_FETCH_H_

// A file from a host of the policy. Here it is decided whether and where to connect, again at every
// redirect; the connection is made here, to an address that was looked at, and handed to a process
// that speaks TLS and HTTP on it and can do nothing else.

#include <string>
#include <vector>

#include "packages/fetcher_process.h"
#include "packages/policy.h"

namespace cordon::packages {

// kDisabled, kHostDenied, kTooLarge, kFetch. Waits: not for a daemon's own thread.
[[nodiscard]] PackageResult<std::vector<std::byte>> Fetch(const Fetcher& fetcher,
                                                          const Policy& policy, Url url,
                                                          uint64_t most_bytes,
                                                          const FetchProgress& progress);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_FETCH_H_
