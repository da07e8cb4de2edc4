// statx(2): the other calls about one file are in sys_path.cc.

#include <fcntl.h>

#include <cerrno>
#include <iterator>

#include "kernel/guest_memory.h"
#include "kernel/path_calls.h"
#include "kernel/syscall.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kBasic = 0x7ff;  // STATX_BASIC_STATS
constexpr uint32_t kReserved = 1u << 31;
// AT_STATX_SYNC_TYPE, which means nothing here.
constexpr uint32_t kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | 0x6000;

struct StatxTime {
  int64_t seconds;
  uint32_t nanoseconds;
  int32_t padding;
};

// struct statx, the same on all Linux.
struct GuestStatx {
  uint32_t mask, block_size;
  uint64_t attributes;
  uint32_t links, uid, gid;
  uint16_t mode, padding;
  uint64_t inode, size, blocks, attributes_mask;
  StatxTime atime, btime, ctime, mtime;
  uint32_t rdev_major, rdev_minor, device_major, device_minor;
  uint64_t rest[14];
};
static_assert(sizeof(GuestStatx) == 256);

StatxTime TimeOf(const vfs::Time& time) {
  return {time.seconds, time.nanoseconds, 0};
}

int64_t SysStatx(const uint64_t* slots) {
  const uint32_t flags = Arg(slots, 2);
  if ((flags & ~kFlags) != 0 || (Arg(slots, 3) & kReserved) != 0) return -EINVAL;
  vfs::Stat stat = {};
  const int64_t error = StatAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), flags, &stat);
  if (error != 0) return error;
  GuestStatx out = {};
  out.mask = kBasic;
  out.block_size = 4096;
  out.links = stat.links;
  out.uid = stat.uid;
  out.gid = stat.gid;
  out.mode = static_cast<uint16_t>(stat.mode);
  out.inode = stat.inode;
  out.size = static_cast<uint64_t>(stat.size);
  out.blocks = static_cast<uint64_t>(stat.blocks);
  out.atime = TimeOf(stat.atime);
  out.ctime = TimeOf(stat.ctime);
  out.mtime = TimeOf(stat.mtime);
  out.rdev_major = static_cast<uint32_t>(stat.rdev >> 8);
  out.rdev_minor = static_cast<uint32_t>(stat.rdev & 0xff);
  out.device_minor = static_cast<uint32_t>(stat.device);
  return Store(Arg(slots, 4), out);
}

constexpr CallRow kRows[] = {{"statx", SysStatx}};

}  // namespace

CallTable StatCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
