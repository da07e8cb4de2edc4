#ifndef CORDON_KERNEL_WASI_TYPES_H_
#define CORDON_KERNEL_WASI_TYPES_H_

// WASI's structures and flags, from and to the file plane's.

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>

#include "arena/platform.h"
#include "vfs/filesystem.h"

namespace cordon::kernel {

inline constexpr uint16_t kWasiAppend = 1;
inline constexpr uint16_t kWasiNonBlock = 4;

// fdflags as O_ flags; the synchronous ones say what memory does anyway.
inline constexpr uint32_t kWasiFdFlags = 0x1f;
inline uint32_t WasiOpenFlags(uint32_t flags) {
  return ((flags & kWasiAppend) != 0 ? O_APPEND : 0u) |
         ((flags & kWasiNonBlock) != 0 ? O_NONBLOCK : 0u);
}

inline uint8_t WasiTypeOf(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFBLK:
      return 1;
    case S_IFCHR:
      return 2;
    case S_IFDIR:
      return 3;
    case S_IFREG:
      return 4;
    case S_IFSOCK:
      return 6;
    case S_IFLNK:
      return 7;
    default:
      return 0;
  }
}

// filestat
struct WasiFileStat {
  explicit WasiFileStat(const vfs::Stat& stat)
      : device(stat.device),
        inode(stat.inode),
        type(WasiTypeOf(stat.mode)),
        links(stat.links),
        size(static_cast<uint64_t>(stat.size)),
        atime(Nanoseconds(stat.atime)),
        mtime(Nanoseconds(stat.mtime)),
        ctime(Nanoseconds(stat.ctime)) {}

  uint64_t device, inode;
  uint64_t type;  // a byte, and padding
  uint64_t links, size, atime, mtime, ctime;

 private:
  static uint64_t Nanoseconds(const vfs::Time& time) {
    return static_cast<uint64_t>(time.seconds) * 1'000'000'000 + time.nanoseconds;
  }
};
static_assert(sizeof(WasiFileStat) == 64);

// fstflags: atim 1, atim_now 2, mtim 4, mtim_now 8. 0 or -EINVAL.
inline int WasiTimes(uint64_t atime, uint64_t mtime, uint32_t flags, vfs::Attributes* change) {
  if (flags > 15 || (flags & 3) == 3 || (flags & 12) == 12) return -EINVAL;
  const uint64_t now = platform::ClockNs(0);
  const auto time = [](uint64_t ns) {
    return vfs::Time{static_cast<int64_t>(ns / 1'000'000'000),
                     static_cast<uint32_t>(ns % 1'000'000'000)};
  };
  if ((flags & 3) != 0) {
    change->fields |= vfs::Attributes::kAtime;
    change->atime = time((flags & 2) != 0 ? now : atime);
  }
  if ((flags & 12) != 0) {
    change->fields |= vfs::Attributes::kMtime;
    change->mtime = time((flags & 8) != 0 ? now : mtime);
  }
  return 0;
}

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_WASI_TYPES_H_
