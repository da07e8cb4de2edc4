#include "kernel/guest_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cordon::kernel {

int32_t CopyString(char* to, uint32_t from, uint32_t size) {
  constexpr uint32_t kPage = 4096;
  uint32_t done = 0;
  while (done < size) {
    // Up to the end of a page: what follows may not exist.
    const uint32_t count = std::min(size - done, kPage - (from + done) % kPage);
    if (CopyIn(to + done, from + done, count) != 0) return -EFAULT;
    if (const void* end = memchr(to + done, 0, count))
      return static_cast<int32_t>(static_cast<const char*>(end) - to);
    done += count;
  }
  return -ENAMETOOLONG;
}

GuestPath::GuestPath(uint32_t address, uint32_t size) : length(static_cast<int32_t>(size)) {
  if (size >= sizeof text) {
    length = -ENAMETOOLONG;
  } else if (CopyIn(text, address, size) != 0) {
    length = -EFAULT;
  } else if (memchr(text, 0, size) != nullptr) {
    length = -EILSEQ;
  }
}

}  // namespace cordon::kernel
