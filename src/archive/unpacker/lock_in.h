#ifndef CORDON_ARCHIVE_UNPACKER_LOCK_IN_H_
#define CORDON_ARCHIVE_UNPACKER_LOCK_IN_H_

#include <cstdint>

#include "base/error.h"

namespace cordon::archive {

// What cordon-unpack gives up before it looks at the first byte of an archive of so many bytes, of
// which at most so many come out. What is left: to compute, to take memory, and to write to
// standard output. No file, no descriptor, no process, nothing that is executable.
struct LeftOver {
  int file = -1;  // where what comes out is put, if it is: by pwrite, and so many bytes of it
  uint64_t bytes = 0;
};
[[nodiscard]] Status LockIn(uint64_t archive_bytes, uint64_t most_plain_bytes,
                            const LeftOver& left);

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_UNPACKER_LOCK_IN_H_
