// Calls on threads.

#include <cerrno>
#include <csignal>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/process.h"
#include "kernel/syscall.h"

namespace cordon::kernel {
namespace {

int64_t SysThreadCreate(const uint64_t* slots) {
  return CreateThread(
      {Arg(slots, 0), Arg(slots, 1), Arg(slots, 2), Arg(slots, 3), Arg(slots, 4), Arg(slots, 5)});
}

int64_t SysExit(const uint64_t* slots) {
  if (!HasOtherThreads()) ExitCurrent((Arg(slots, 0) & 0xff) << 8);
  EndThread();
}

int64_t SysGettid(const uint64_t* /*slots*/) {
  return CurrentThread().tid;
}
int64_t SysSetTidAddress(const uint64_t* slots) {
  CurrentThread().clear_tid = Arg(slots, 0);
  return CurrentThread().tid;
}

// `group` 0: of any process.
int64_t SignalThread(uint32_t group, uint32_t tid, uint32_t number) {
  if (number > kSignals || static_cast<int32_t>(tid) <= 0) return -EINVAL;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  const Process& sender = Current();
  Thread* target = FindThread(tid);
  if (target == nullptr || (group != 0 && target->process->pid != group)) return -ESRCH;
  if (!MaySignal(*target->process, number)) return -EPERM;
  if (number == 0) return 0;
  PostToThreadLocked(*target,
                     {static_cast<int32_t>(number), SI_TKILL, static_cast<int32_t>(sender.pid),
                      static_cast<int32_t>(sender.who.uid), 0});
  return 0;
}

int64_t SysTkill(const uint64_t* slots) {
  return SignalThread(0, Arg(slots, 0), Arg(slots, 1));
}
int64_t SysTgkill(const uint64_t* slots) {
  if (SignedArg(slots, 0) <= 0) return -EINVAL;
  return SignalThread(Arg(slots, 0), Arg(slots, 1), Arg(slots, 2));
}

constexpr CallRow kRows[] = {
    {"thread_create", SysThreadCreate},    {"exit", SysExit},   {"gettid", SysGettid},
    {"set_tid_address", SysSetTidAddress}, {"tkill", SysTkill}, {"tgkill", SysTgkill},
};

}  // namespace

CallTable ThreadCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
