// Calls about the system as a whole, names and priorities, and those that are no more than a copy
// from one descriptor to another.

#include <fcntl.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>

#include "arena/layout.h"
#include "arena/platform.h"
#include "kernel/exec.h"
#include "kernel/freeze.h"
#include "kernel/guest_memory.h"
#include "kernel/open_file.h"
#include "kernel/process.h"
#include "kernel/syscall.h"

namespace cordon::kernel {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

int64_t SysUname(const uint64_t* slots) {
  struct {
    char system[65], node[65], release[65], version[65], machine[65], domain[65];
  } out = {"Linux", "", "6.1.0-cordon", "Cordon", "wasm32", "(none)"};
  memcpy(out.node, TheKernel().hostname, sizeof out.node);
  return CopyOut(Arg(slots, 0), &out, sizeof out);
}

int64_t SysSethostname(const uint64_t* slots) {
  Kernel& kernel = TheKernel();
  if (Current().who.uid != 0) return -EPERM;
  char name[sizeof kernel.hostname] = {};
  if (Arg(slots, 1) >= sizeof name) return -EINVAL;
  if (CopyIn(name, Arg(slots, 0), Arg(slots, 1)) != 0) return -EFAULT;
  memcpy(kernel.hostname, name, sizeof name);
  return 0;
}

// struct sysinfo of 32-bit Linux; memory in pages.
struct GuestSystemInfo {
  uint32_t uptime, loads[3];
  uint32_t total, free, shared, buffers, total_swap, free_swap;
  uint16_t processes, padding;
  uint32_t total_high, free_high, unit;
  uint8_t rest[8];
};
static_assert(sizeof(GuestSystemInfo) == 64);

int64_t SysSysinfo(const uint64_t* slots) {
  const Kernel& kernel = TheKernel();
  const uint64_t pages = kernel.control->limits.memory_bytes / layout::kPageBytes;
  GuestSystemInfo info = {};
  info.uptime = static_cast<uint32_t>((platform::ClockNs(1) - kernel.boot_ns) / kSecond);
  info.total = static_cast<uint32_t>(pages);
  info.free = static_cast<uint32_t>(pages - std::min(pages, kernel.committed_pages.load()));
  info.processes = static_cast<uint16_t>(kernel.process_count);
  info.unit = layout::kPageBytes;
  return Store(Arg(slots, 0), info);
}

int64_t SysPrctl(const uint64_t* slots) {
  Process& process = Current();
  switch (Arg(slots, 0)) {
    case PR_SET_NAME: {
      char name[sizeof process.command] = {};
      const int32_t size = CopyString(name, Arg(slots, 1), sizeof name - 1);
      if (size == -EFAULT) return size;
      memcpy(process.command, name, sizeof name);
      return 0;
    }
    case PR_GET_NAME:
      return Store(Arg(slots, 1), process.command);
    case PR_GET_DUMPABLE:
    case PR_GET_NO_NEW_PRIVS:
      return 1;
    case PR_SET_DUMPABLE:
    case PR_SET_NO_NEW_PRIVS:
      return 0;
    case kPrctlFreeze:
      return Freeze(Arg(slots, 1));
    case kPrctlStartOver:
      return StartOver();
    default:
      return -EINVAL;
  }
}

int64_t SysSetgroups(const uint64_t* slots) {
  vfs::Credentials& who = Current().who;
  if (who.uid != 0) return -EPERM;
  const uint32_t count = Arg(slots, 0);
  if (count > vfs::kMaxGroups) return -EINVAL;
  uint32_t groups[vfs::kMaxGroups] = {};
  if (CopyIn(groups, Arg(slots, 1), count * sizeof groups[0]) != 0) return -EFAULT;
  memcpy(who.groups, groups, sizeof groups);
  who.group_count = count;
  return 0;
}

// Files are copied when they are mapped, so there is nothing to write back.
int64_t SysMsync(const uint64_t* /*slots*/) {
  return 0;
}

int64_t SysCloseRange(const uint64_t* slots) {
  constexpr uint32_t kUnshare = 2;
  constexpr uint32_t kCloseOnExec = 4;
  const uint32_t first = Arg(slots, 0);
  const uint32_t flags = Arg(slots, 2);
  if (first > Arg(slots, 1) || (flags & ~(kUnshare | kCloseOnExec)) != 0) return -EINVAL;
  Process& process = Current();
  for (uint32_t i = first; i < process.descriptor_end && i <= Arg(slots, 1); ++i) {
    if ((flags & kCloseOnExec) != 0) {
      (void)SetCloseOnExec(i, true);
    } else {
      (void)CloseDescriptor(i);
    }
  }
  return 0;
}

struct GuestTime {
  int64_t seconds;
  int32_t nanoseconds, padding;
};

// Under table_lock: takes the lowest pending signal of `set`.
uint32_t TakePending(Thread& thread, uint64_t set, SignalInfo* info) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  Process& process = *thread.process;
  const uint64_t ready = (thread.pending.load() | process.pending.load()) & set;
  if (ready == 0) return 0;
  const auto number = static_cast<uint32_t>(__builtin_ctzll(ready)) + 1;
  const bool own = (thread.pending.load() & SignalBit(number)) != 0;
  *info = own ? thread.info[number] : process.info[number];
  (own ? thread.pending : process.pending).fetch_and(~SignalBit(number));
  UpdateAttention(thread);
  return number;
}

int64_t SysSigtimedwait(const uint64_t* slots) {
  uint64_t set = 0;
  GuestTime wait = {};
  if (Load(&set, Arg(slots, 0)) != 0) return -EFAULT;
  if (Arg(slots, 2) != 0 && Load(&wait, Arg(slots, 2)) != 0) return -EFAULT;
  if (wait.seconds < 0 || wait.nanoseconds < 0 || wait.nanoseconds >= static_cast<int32_t>(kSecond))
    return -EINVAL;
  uint64_t deadline = platform::kNever;
  if (Arg(slots, 2) != 0 && wait.seconds < INT32_MAX) {
    deadline = platform::ClockNs(1) + static_cast<uint64_t>(wait.seconds) * kSecond +
               static_cast<uint64_t>(wait.nanoseconds);
  }
  Thread& thread = CurrentThread();
  thread.awaited = set;
  SignalInfo info = {};
  uint32_t number = 0;
  Wake wake = Wake::kWoken;
  for (;;) {
    const uint32_t seen = thread.sleeper.word.load();
    number = TakePending(thread, set, &info);
    if (number != 0 || wake != Wake::kWoken) break;
    wake = thread.sleeper.SleepFrom(seen, deadline);
  }
  thread.awaited = 0;
  if (number == 0) return wake == Wake::kTimedOut ? -EAGAIN : -EINTR;
  const int32_t out[32] = {info.number, 0, info.code, info.pid, info.uid, info.status};
  if (Arg(slots, 1) != 0 && Store(Arg(slots, 1), out) != 0) return -EFAULT;
  return number;
}

// One side of a copy between descriptors: at an offset of its own, or at the description's.
struct CopyEnd {
  OpenFile* file;
  uint32_t offset_at;  // address of the guest's offset, 0 none
  uint64_t offset;
};

int32_t OpenCopyEnd(uint32_t descriptor, uint32_t offset_at, CopyEnd* out) {
  *out = {FileOf(descriptor), offset_at, 0};
  if (out->file == nullptr) return -EBADF;
  if (offset_at == 0) return 0;
  if (out->file->operations != &kNodeOperations) return -ESPIPE;
  if (Load(&out->offset, offset_at) != 0) return -EFAULT;
  return out->offset > INT64_MAX ? -EINVAL : 0;
}

int64_t ReadEnd(CopyEnd& end, void* to, uint64_t size) {
  if (end.offset_at == 0) return end.file->operations->read(*end.file, to, size);
  const vfs::Node& node = end.file->node;
  const int64_t got = node.fs->Read(node.id, end.offset, to, size);
  if (got > 0) end.offset += static_cast<uint64_t>(got);
  Current().used.AddRead(got);
  return got;
}

int64_t WriteEnd(CopyEnd& end, const void* from, uint64_t size) {
  if (end.offset_at == 0) return end.file->operations->write(*end.file, from, size);
  const vfs::Node& node = end.file->node;
  uint64_t file_end = 0;
  const int64_t put = node.fs->Write(node.id, end.offset, from, size, &file_end);
  if (put > 0) end.offset += static_cast<uint64_t>(put);
  Current().used.AddWritten(put);
  return put;
}

// As much as goes in one piece of memory; callers call again, as they must on Linux.
int64_t CopyBetween(CopyEnd& from, CopyEnd& to, uint32_t size) {
  constexpr uint32_t kPiece = 256 * 1024;
  if (!from.file->readable() || !to.file->writable()) return -EBADF;
  Arena& arena = *TheKernel().arena;
  const uint32_t piece = std::min(size, kPiece);
  if (piece == 0) return 0;
  void* buffer = arena.AllocateBuffer(piece);
  if (buffer == nullptr) return -ENOMEM;
  int64_t moved = ReadEnd(from, buffer, piece);
  if (moved > 0) moved = WriteEnd(to, buffer, static_cast<uint64_t>(moved));
  arena.Free(buffer, piece);
  for (const CopyEnd& end : {from, to}) {
    if (moved > 0 && end.offset_at != 0 && Store(end.offset_at, end.offset) != 0) return -EFAULT;
  }
  return moved;
}

int64_t SysSendfile(const uint64_t* slots) {
  CopyEnd to;
  CopyEnd from;
  int32_t error = OpenCopyEnd(Arg(slots, 0), 0, &to);
  if (error == 0) error = OpenCopyEnd(Arg(slots, 1), Arg(slots, 2), &from);
  if (error == 0 && from.file->operations != &kNodeOperations) error = -EINVAL;
  return error != 0 ? error : CopyBetween(from, to, Arg(slots, 3));
}

int64_t SysCopyFileRange(const uint64_t* slots) {
  CopyEnd to;
  CopyEnd from;
  int32_t error = OpenCopyEnd(Arg(slots, 0), Arg(slots, 1), &from);
  if (error == 0) error = OpenCopyEnd(Arg(slots, 2), Arg(slots, 3), &to);
  if (error == 0 && Arg(slots, 5) != 0) error = -EINVAL;
  if (error == 0 &&
      (from.file->operations != &kNodeOperations || to.file->operations != &kNodeOperations))
    error = -EINVAL;
  if (error == 0 && (to.file->flags.load() & O_APPEND) != 0) error = -EBADF;
  return error != 0 ? error : CopyBetween(from, to, Arg(slots, 4));
}

constexpr CallRow kRows[] = {
    {"uname", SysUname},
    {"sethostname", SysSethostname},
    {"sysinfo", SysSysinfo},
    {"prctl", SysPrctl},
    {"setgroups", SysSetgroups},
    {"msync", SysMsync},
    {"close_range", SysCloseRange},
    {"rt_sigtimedwait_time64", SysSigtimedwait},
    {"sendfile64", SysSendfile},
    {"copy_file_range", SysCopyFileRange},
};

}  // namespace

CallTable SystemCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
