#ifndef CORDON_PACKAGES_FETCHER_GET_H_
#define CORDON_PACKAGES_FETCHER_GET_H_

#include <cstdint>

namespace cordon::packages {

// One request over TLS on the connection that descriptor 3 is; the body goes to descriptor 4, as
// many bytes of it as `most`. Locks itself in before the first byte. Ends the process.
[[noreturn]] void Get(const char* url, uint64_t most, const char* ca_file);

// The addresses of a host, by the host's own configuration. Ends the process.
[[noreturn]] void Resolve(const char* host);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_FETCHER_GET_H_
