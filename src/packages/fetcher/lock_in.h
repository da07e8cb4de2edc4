#ifndef CORDON_PACKAGES_FETCHER_LOCK_IN_H_
#define CORDON_PACKAGES_FETCHER_LOCK_IN_H_

// What cordon-fetch gives up before it reads the first byte of others. Whatever it becomes then, it
// has the descriptors that it was given.

#include <cstdint>

#include "base/error.h"

namespace cordon::packages {

// Memory, time, descriptors, and bytes of a file, of this process.
[[nodiscard]] Status LimitResources(uint64_t most_file_bytes);

// No file, no new connection, no process, and memory that is never executable. For `get` and
// `verify`.
[[nodiscard]] Status LockIn();

// Files can be read and nothing else: no program, no process, no other process's memory. For
// `resolve`, which the C library does by whatever the host is configured for.
[[nodiscard]] Status LockInToReading();

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_FETCHER_LOCK_IN_H_
