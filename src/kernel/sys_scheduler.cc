// What a process may say about when and where it runs. The host's scheduler does not hear of it: it
// is kept, inherited and told, so that programs which ask get what was set.

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/guest_memory.h"
#include "kernel/process.h"
#include "kernel/processors.h"
#include "kernel/syscall.h"

namespace cordon::kernel {
namespace {

Process* OfPriorityCall(const uint64_t* slots) {
  const uint32_t pid = Arg(slots, 1);
  if (Arg(slots, 0) != 0) return &Current();
  return pid == 0 ? &Current() : FindProcess(pid);
}

int64_t SysGetpriority(const uint64_t* slots) {
  if (Arg(slots, 0) > 2) return -EINVAL;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  const Process* process = OfPriorityCall(slots);
  return process == nullptr ? -ESRCH : 20 - process->nice;
}

int64_t SysSetpriority(const uint64_t* slots) {
  if (Arg(slots, 0) > 2) return -EINVAL;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  Process* process = OfPriorityCall(slots);
  if (process == nullptr) return -ESRCH;
  const int32_t nice = std::clamp(SignedArg(slots, 2), -20, 19);
  const vfs::Credentials& who = Current().who;
  if (who.uid != 0 && who.uid != process->who.uid) return -EPERM;
  if (who.uid != 0 && nice < process->nice) return -EACCES;
  process->nice = nice;
  return 0;
}

// Under table_lock: 0 is the caller.
Process* OfScheduler(int32_t pid) {
  if (pid == 0) return &Current();
  return pid < 0 ? nullptr : FindProcess(static_cast<uint32_t>(pid));
}

// As the kernel has it: words of a 32-bit guest, as many as there are processors.
uint32_t MaskBytes() {
  return (ProcessorCount() + 31) / 32 * 4;
}

int64_t SysGetAffinity(const uint64_t* slots) {
  const uint32_t size = MaskBytes();
  if (Arg(slots, 1) < size || Arg(slots, 1) % 4 != 0) return -EINVAL;
  uint8_t mask[kMaxProcessors / 8] = {};
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    const Process* process = OfScheduler(SignedArg(slots, 0));
    if (process == nullptr) return -ESRCH;
    for (uint32_t i = 0; i < ProcessorCount(); ++i) {
      const bool is_allowed = (process->avoided_processors[i / 8] & 1u << i % 8) == 0;
      if (is_allowed) mask[i / 8] = static_cast<uint8_t>(mask[i / 8] | 1u << i % 8);
    }
  }
  return CopyOut(Arg(slots, 2), mask, size) != 0 ? -EFAULT : static_cast<int64_t>(size);
}

int64_t SysSetAffinity(const uint64_t* slots) {
  uint8_t mask[kMaxProcessors / 8] = {};
  const auto size = std::min<uint32_t>(Arg(slots, 1), sizeof mask);
  if (CopyIn(mask, Arg(slots, 2), size) != 0) return -EFAULT;
  bool has_any = false;
  for (uint32_t i = 0; i < ProcessorCount(); ++i)
    has_any = has_any || (mask[i / 8] & 1u << i % 8) != 0;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  Process* process = OfScheduler(SignedArg(slots, 0));
  if (process == nullptr) return -ESRCH;
  const vfs::Credentials& who = Current().who;
  if (who.uid != 0 && who.uid != process->who.uid) return -EPERM;
  if (!has_any) return -EINVAL;
  for (uint32_t i = 0; i < sizeof mask; ++i)
    process->avoided_processors[i] = static_cast<uint8_t>(~mask[i]);
  return 0;
}

bool IsRealTime(int32_t policy) {
  return policy == SCHED_FIFO || policy == SCHED_RR;
}
bool IsPolicy(int32_t policy) {
  constexpr int32_t kBatch = 3;
  constexpr int32_t kIdle = 5;
  return IsRealTime(policy) || policy == SCHED_OTHER || policy == kBatch || policy == kIdle;
}
int64_t SysPriorityMax(const uint64_t* slots) {
  const int32_t policy = SignedArg(slots, 0);
  constexpr int64_t kMost = 99;
  if (!IsPolicy(policy)) return -EINVAL;
  return IsRealTime(policy) ? kMost : 0;
}
int64_t SysPriorityMin(const uint64_t* slots) {
  const int32_t policy = SignedArg(slots, 0);
  if (!IsPolicy(policy)) return -EINVAL;
  return IsRealTime(policy) ? 1 : 0;
}

// Nobody has SCHED_RR: there is no such interval.
int64_t SysInterval(const uint64_t* slots) {
  struct {
    int64_t seconds;
    int32_t nanoseconds, padding;
  } none = {};
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    if (SignedArg(slots, 0) < 0) return -EINVAL;
    if (OfScheduler(SignedArg(slots, 0)) == nullptr) return -ESRCH;
  }
  return Store(Arg(slots, 1), none);
}

constexpr CallRow kRows[] = {
    {"getpriority", SysGetpriority},
    {"setpriority", SysSetpriority},
    {"sched_getaffinity", SysGetAffinity},
    {"sched_setaffinity", SysSetAffinity},
    {"sched_get_priority_max", SysPriorityMax},
    {"sched_get_priority_min", SysPriorityMin},
    {"sched_rr_get_interval_time64", SysInterval},
};

}  // namespace

CallTable SchedulerCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
