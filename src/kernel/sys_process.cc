// Calls on processes, signals and memory.

#include <sys/mman.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "arena/platform.h"
#include "kernel/exec.h"
#include "kernel/guest_memory.h"
#include "kernel/memory_map.h"
#include "kernel/open_file.h"
#include "kernel/syscall.h"
#include "kernel/terminal.h"

namespace cordon::kernel {
namespace {

int64_t SysFork(const uint64_t* /*slots*/) {
  return Fork();
}
int64_t SysExitGroup(const uint64_t* slots) {
  ExitCurrent((Arg(slots, 0) & 0xff) << 8);
}

// Copies a vector of strings into `strings`; their count or an error.
int32_t CopyVector(uint32_t vector, StartStrings* strings) {
  int32_t count = 0;
  for (; vector != 0; vector += 4, ++count) {
    uint32_t pointer = 0;
    if (Load(&pointer, vector) != 0) return -EFAULT;
    if (pointer == 0) break;
    const int32_t size =
        CopyString(strings->text + strings->size, pointer, StartStrings::kCapacity - strings->size);
    if (size < 0) return size == -ENAMETOOLONG ? -E2BIG : size;
    strings->size += static_cast<uint32_t>(size) + 1;
  }
  return count;
}

int64_t CopyAndExecute(const uint64_t* slots) {
  const GuestPath path(Arg(slots, 0));
  if (path.length < 0) return path.length;
  StartStrings* strings = NextStartStrings();
  const int32_t arguments = CopyVector(Arg(slots, 1), strings);
  if (arguments < 0) return arguments;
  strings->argument_count = static_cast<uint32_t>(arguments);
  const int32_t variables = CopyVector(Arg(slots, 2), strings);
  if (variables < 0) return variables;
  strings->variable_count = static_cast<uint32_t>(variables);
  return Execute(path.view(), strings);
}

// One thread at a time: there is one buffer for arguments. The others find out soon whether they
// still have to.
int64_t SysExecve(const uint64_t* slots) {
  constexpr uint64_t kWhileNs = 1'000'000;
  Process& process = Current();
  Sleeper& sleeper = CurrentThread().sleeper;
  while (process.execs.exchange(true)) {
    const uint32_t seen = sleeper.word.load();
    if (sleeper.SleepFrom(seen, platform::ClockNs(1) + kWhileNs) == Wake::kInterrupted)
      return kRestart;
  }
  const int64_t error = CopyAndExecute(slots);
  process.execs.store(false);
  return error;
}

// struct rusage of the guest: two timevals of 32-bit longs and 14 longs, 72 bytes.
int StoreUsage(uint32_t address, uint64_t cpu_ns) {
  if (address == 0) return 0;
  int32_t usage[18] = {};
  usage[0] = static_cast<int32_t>(cpu_ns / 1'000'000'000);
  usage[1] = static_cast<int32_t>(cpu_ns / 1000 % 1'000'000);
  return Store(address, usage);
}

int64_t SysWait4(const uint64_t* slots) {
  uint32_t status = 0;
  int32_t pid = 0;
  uint64_t cpu_ns = 0;
  const int32_t error =
      WaitFor(SignedArg(slots, 0), (Arg(slots, 2) & (WNOHANG | WUNTRACED | WCONTINUED)) | WEXITED,
              &status, &pid, &cpu_ns);
  if (error != 0) return error;
  if (pid != 0 && Arg(slots, 1) != 0 && Store(Arg(slots, 1), status) != 0) return -EFAULT;
  if (pid != 0 && StoreUsage(Arg(slots, 3), cpu_ns) != 0) return -EFAULT;
  return pid;
}

int64_t SysWaitid(const uint64_t* slots) {
  int32_t target = SignedArg(slots, 1);
  switch (Arg(slots, 0)) {
    case P_ALL:
      target = -1;
      break;
    case P_PID:
      break;
    case P_PGID:
      target = -target;
      break;
    default:
      return -EINVAL;
  }
  uint32_t status = 0;
  int32_t pid = 0;
  uint64_t cpu_ns = 0;
  const int32_t error = WaitFor(target, Arg(slots, 3), &status, &pid, &cpu_ns);
  if (error != 0) return error;
  int32_t info[32] = {};
  if (pid != 0) {
    const uint32_t low = status & 0x7f;
    info[0] = SIGCHLD;
    info[2] = status == 0xffff ? CLD_CONTINUED
              : low == 0x7f    ? CLD_STOPPED
              : low == 0       ? CLD_EXITED
                               : CLD_KILLED;
    info[3] = pid;
    info[5] = status == 0xffff
                  ? SIGCONT
                  : static_cast<int32_t>(low == 0 || low == 0x7f ? status >> 8 & 0xff : low);
  }
  if (Arg(slots, 2) != 0 && Store(Arg(slots, 2), info) != 0) return -EFAULT;
  return StoreUsage(Arg(slots, 4), cpu_ns);
}

int64_t SysGetpid(const uint64_t* /*slots*/) {
  return Current().pid;
}
int64_t SysGetppid(const uint64_t* /*slots*/) {
  return Current().parent_pid;
}
int64_t SysGetuid(const uint64_t* /*slots*/) {
  return Current().who.uid;
}
int64_t SysGetgid(const uint64_t* /*slots*/) {
  return Current().who.gid;
}

int64_t SysGetpgid(const uint64_t* slots) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  const Process* process = Arg(slots, 0) == 0 ? &Current() : FindProcess(Arg(slots, 0));
  return process == nullptr ? -ESRCH : static_cast<int64_t>(process->group);
}
int64_t SysGetsid(const uint64_t* slots) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  const Process* process = Arg(slots, 0) == 0 ? &Current() : FindProcess(Arg(slots, 0));
  return process == nullptr ? -ESRCH : static_cast<int64_t>(process->session);
}

int64_t SysSetpgid(const uint64_t* slots) {
  Kernel& kernel = TheKernel();
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  Process& caller = Current();
  Process* process = Arg(slots, 0) == 0 ? &caller : FindProcess(Arg(slots, 0));
  if (SignedArg(slots, 1) < 0) return -EINVAL;
  if (process == nullptr || (process != &caller && process->parent_pid != caller.pid))
    return -ESRCH;
  if (process != &caller && process->execed) return -EACCES;
  const uint32_t group = Arg(slots, 1) == 0 ? process->pid : Arg(slots, 1);
  if (process->session == process->pid || process->session != caller.session) return -EPERM;
  if (group != process->pid) {
    bool exists = false;
    for (uint32_t i = 0; i < kernel.slot_end; ++i) {
      const Process* member = kernel.processes[i];
      exists = exists ||
               (member != nullptr && member->group == group && member->session == caller.session);
    }
    if (!exists) return -EPERM;
  }
  process->group = group;
  return 0;
}

int64_t SysSetsid(const uint64_t* /*slots*/) {
  Kernel& kernel = TheKernel();
  Process& process = Current();
  {
    const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
    for (uint32_t i = 0; i < kernel.slot_end; ++i) {
      const Process* member = kernel.processes[i];
      if (member != nullptr && member->state.load() != ProcessState::kFree &&
          member->group == process.pid)
        return -EPERM;
    }
    process.group = process.session = process.pid;
  }
  LeaveTerminal(process);
  return process.pid;
}

}  // namespace

bool MaySignal(const Process& target, uint32_t number) {
  const Process& sender = Current();
  return sender.who.uid == 0 || sender.who.uid == target.who.uid ||
         (number == SIGCONT && sender.session == target.session);
}

namespace {

int64_t SysKill(const uint64_t* slots) {
  Kernel& kernel = TheKernel();
  const int32_t target = SignedArg(slots, 0);
  const uint32_t number = Arg(slots, 1);
  if (number > kSignals) return -EINVAL;
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  Process& sender = Current();
  bool found = false;
  bool sent = false;
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* process = kernel.processes[i];
    if (process == nullptr || process->state.load() == ProcessState::kFree) continue;
    const bool meant = target > 0     ? process->pid == static_cast<uint32_t>(target)
                       : target == 0  ? process->group == sender.group
                       : target == -1 ? process->pid != kServicePid && process != &sender
                                      : process->group == static_cast<uint32_t>(-target);
    if (!meant) continue;
    found = true;
    if (!MaySignal(*process, number)) continue;
    sent = true;
    if (number != 0) {
      PostLocked(*process, {static_cast<int32_t>(number), SI_USER, static_cast<int32_t>(sender.pid),
                            static_cast<int32_t>(sender.who.uid), 0});
    }
  }
  return sent ? 0 : found ? -EPERM : -ESRCH;
}
// The value comes with the signal; who sent it is the kernel's own knowledge.
int64_t SysSigqueueinfo(const uint64_t* slots) {
  const uint32_t pid = Arg(slots, 0);
  const uint32_t number = Arg(slots, 1);
  struct {
    int32_t number, error, code, pid, uid, value;
  } info;
  if (Load(&info, Arg(slots, 2)) != 0) return -EFAULT;
  if (number > kSignals) return -EINVAL;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  const Process& sender = Current();
  Process* target = FindProcess(pid);
  if (target == nullptr) return -ESRCH;
  if (!MaySignal(*target, number)) return -EPERM;
  // Codes of the kernel are for itself.
  if ((info.code >= 0 || info.code == SI_TKILL) && target != &sender) return -EPERM;
  if (number == 0) return 0;
  PostLocked(*target, {static_cast<int32_t>(number), info.code, static_cast<int32_t>(sender.pid),
                       static_cast<int32_t>(sender.who.uid), info.value});
  return 0;
}
struct GuestAction {
  uint32_t handler, flags, restorer, mask[2];
};

int64_t SysSigaction(const uint64_t* slots) {
  const uint32_t number = Arg(slots, 0);
  if (number == 0 || number > kSignals) return -EINVAL;
  GuestAction next = {};
  if (Arg(slots, 1) != 0) {
    if (number == SIGKILL || number == SIGSTOP) return -EINVAL;
    if (Load(&next, Arg(slots, 1)) != 0) return -EFAULT;
  }
  Process& process = Current();
  Disposition old;
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    old = process.disposition[number];
    if (Arg(slots, 1) != 0) {
      process.disposition[number] = {next.handler, next.flags,
                                     next.mask[0] | uint64_t{next.mask[1]} << 32};
    }
  }
  if (Arg(slots, 2) == 0) return 0;
  const GuestAction out = {
      old.handler,
      old.flags,
      0,
      {static_cast<uint32_t>(old.mask), static_cast<uint32_t>(old.mask >> 32)}};
  return Store(Arg(slots, 2), out);
}

int64_t SysSigprocmask(const uint64_t* slots) {
  uint64_t set = 0;
  if (Arg(slots, 1) != 0 && Load(&set, Arg(slots, 1)) != 0) return -EFAULT;
  Thread& thread = CurrentThread();
  const uint64_t old = thread.mask;
  if (Arg(slots, 1) != 0) {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    switch (Arg(slots, 0)) {
      case SIG_BLOCK:
        thread.mask |= set;
        break;
      case SIG_UNBLOCK:
        thread.mask &= ~set;
        break;
      case SIG_SETMASK:
        thread.mask = set;
        break;
      default:
        return -EINVAL;
    }
    thread.mask &= ~(SignalBit(SIGKILL) | SignalBit(SIGSTOP));
    UpdateAttention(thread);
    if (HasOtherThreads()) Retarget(*thread.process);
  }
  return Arg(slots, 2) == 0 ? 0 : Store(Arg(slots, 2), old);
}

int64_t SysSigpending(const uint64_t* slots) {
  const Thread& thread = CurrentThread();
  const uint64_t pending = thread.pending.load() | thread.process->pending.load();
  return Store(Arg(slots, 0), pending & thread.mask);
}

int64_t SysSigsuspend(const uint64_t* slots) {
  uint64_t mask = 0;
  if (Load(&mask, Arg(slots, 0)) != 0) return -EFAULT;
  SetTemporaryMask(mask);
  Sleeper& sleeper = CurrentThread().sleeper;
  for (;;) {
    const uint32_t seen = sleeper.word.load();
    if (sleeper.SleepFrom(seen, platform::kNever) == Wake::kInterrupted) return kRestartSleep;
  }
}

int64_t SysSignalInfo(const uint64_t* slots) {
  const SignalInfo& info = HandledSignal();
  const int32_t out[32] = {info.number, 0, info.code, info.pid, info.uid, info.status};
  return Store(Arg(slots, 0), out);
}

int64_t SysStartupSize(const uint64_t* /*slots*/) {
  return StartBlockSize();
}
int64_t SysStartupCopy(const uint64_t* slots) {
  return StartBlockCopy(Arg(slots, 0));
}
int64_t SysNothing(const uint64_t* /*slots*/) {
  return 0;
}

int64_t SysMmap(const uint64_t* slots) {
  if ((Arg(slots, 3) & MAP_ANONYMOUS) != 0)
    return MapPages(Arg(slots, 0), Arg(slots, 1), Arg(slots, 2), Arg(slots, 3));
  OpenFile* file = FileOf(Arg(slots, 4));
  if (file == nullptr) return -EBADF;
  if (file->operations != &kNodeOperations) return -ENODEV;
  if (!file->readable()) return -EACCES;
  if ((Arg(slots, 3) & MAP_SHARED) != 0 && (Arg(slots, 2) & PROT_WRITE) != 0) return -ENODEV;
  const int64_t at = MapPages(Arg(slots, 0), Arg(slots, 1), PROT_READ | PROT_WRITE, Arg(slots, 3));
  if (at < 0) return at;
  const auto address = static_cast<uint32_t>(at);
  const int64_t got = file->node.fs->Read(file->node.id, uint64_t{Arg(slots, 5)} * 4096,
                                          GuestPointer(address), Arg(slots, 1));
  if (got < 0) {
    UnmapPages(address, Arg(slots, 1));
    return got;
  }
  Current().used.AddRead(got);
  const int32_t error = ProtectPages(address, Arg(slots, 1), Arg(slots, 2));
  return error != 0 ? error : at;
}
int64_t SysMunmap(const uint64_t* slots) {
  return UnmapPages(Arg(slots, 0), Arg(slots, 1));
}
int64_t SysMremap(const uint64_t* slots) {
  return RemapPages(Arg(slots, 0), Arg(slots, 1), Arg(slots, 2), Arg(slots, 3));
}
int64_t SysMprotect(const uint64_t* slots) {
  return ProtectPages(Arg(slots, 0), Arg(slots, 1), Arg(slots, 2));
}
int64_t SysMadvise(const uint64_t* slots) {
  return AdvisePages(Arg(slots, 0), Arg(slots, 1), Arg(slots, 2));
}
int64_t SysBrk(const uint64_t* /*slots*/) {
  return 0;
}

int64_t SysGetrusage(const uint64_t* slots) {
  const bool own = SignedArg(slots, 0) == 0;
  return StoreUsage(Arg(slots, 1), own ? platform::ClockNs(2) : Current().children_cpu_ns);
}

int64_t SysPrlimit(const uint64_t* slots) {
  constexpr uint64_t kInfinity = UINT64_MAX;
  constexpr uint32_t kOpenFiles = 7;
  constexpr uint32_t kStack = 3;
  constexpr uint32_t kAddressSpace = 9;
  const uint32_t resource = Arg(slots, 1);
  Process& process = Current();
  if (const int32_t pid = SignedArg(slots, 0);
      pid != 0 && pid != static_cast<int32_t>(process.pid)) {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    return pid < 0 || FindProcess(static_cast<uint32_t>(pid)) == nullptr ? -ESRCH : -EPERM;
  }
  uint64_t limit[2] = {kInfinity, kInfinity};
  if (resource == kOpenFiles) limit[0] = process.descriptor_limit, limit[1] = kMaxDescriptors;
  if (resource == kStack) limit[0] = limit[1] = 8 << 20;
  if (resource == kAddressSpace) {
    limit[0] = process.address_limit;
    limit[1] = process.address_limit_hard;
  }
  if (Arg(slots, 2) != 0) {
    uint64_t wanted[2];
    if (Load(&wanted, Arg(slots, 2)) != 0) return -EFAULT;
    if (resource == kAddressSpace) {
      if (wanted[0] > wanted[1]) return -EINVAL;
      if (wanted[1] > process.address_limit_hard) return -EPERM;
      process.address_limit = wanted[0];
      process.address_limit_hard = wanted[1];
    }
    if (resource == kOpenFiles) {
      if (wanted[0] > kMaxDescriptors) return wanted[0] == kInfinity ? -EPERM : -EINVAL;
      process.descriptor_limit = static_cast<uint32_t>(wanted[0]);
    }
  }
  return Arg(slots, 3) == 0 ? 0 : Store(Arg(slots, 3), limit);
}

// The identities of a process are one, for ever: what it may ask for is what it has.
int64_t KeepIdentity(const uint64_t* slots, int count, uint32_t own) {
  for (int i = 0; i < count; ++i) {
    const uint32_t wanted = Arg(slots, i);
    const bool is_none = wanted == UINT32_MAX;  // this one stays, where there are several
    if (is_none && count == 1) return -EINVAL;
    if (!is_none && wanted != own) return -EPERM;
  }
  return 0;
}
int64_t SysSetuid(const uint64_t* slots) {
  return KeepIdentity(slots, 1, Current().who.uid);
}
int64_t SysSetreuid(const uint64_t* slots) {
  return KeepIdentity(slots, 2, Current().who.uid);
}
int64_t SysSetresuid(const uint64_t* slots) {
  return KeepIdentity(slots, 3, Current().who.uid);
}
int64_t SysSetgid(const uint64_t* slots) {
  return KeepIdentity(slots, 1, Current().who.gid);
}
int64_t SysSetregid(const uint64_t* slots) {
  return KeepIdentity(slots, 2, Current().who.gid);
}
int64_t SysSetresgid(const uint64_t* slots) {
  return KeepIdentity(slots, 3, Current().who.gid);
}

int64_t SysGetgroups(const uint64_t* slots) {
  const vfs::Credentials& who = Current().who;
  if (Arg(slots, 0) == 0) return who.group_count;
  if (Arg(slots, 0) < who.group_count) return -EINVAL;
  return CopyOut(Arg(slots, 1), who.groups, who.group_count * 4) != 0
             ? -EFAULT
             : static_cast<int64_t>(who.group_count);
}

int64_t StoreThrice(const uint64_t* slots, uint32_t id) {
  for (int i = 0; i < 3; ++i) {
    if (Store(Arg(slots, i), id) != 0) return -EFAULT;
  }
  return 0;
}
int64_t SysGetresuid(const uint64_t* slots) {
  return StoreThrice(slots, Current().who.uid);
}
int64_t SysGetresgid(const uint64_t* slots) {
  return StoreThrice(slots, Current().who.gid);
}

constexpr CallRow kRows[] = {
    {"fork", SysFork},
    {"exit_group", SysExitGroup},
    {"execve", SysExecve},
    {"wait4", SysWait4},
    {"waitid", SysWaitid},
    {"getpid", SysGetpid},
    {"getppid", SysGetppid},
    {"getuid", SysGetuid},
    {"geteuid", SysGetuid},
    {"getgid", SysGetgid},
    {"getegid", SysGetgid},
    {"getgroups", SysGetgroups},
    {"getresuid", SysGetresuid},
    {"getresgid", SysGetresgid},
    {"setuid", SysSetuid},
    {"setgid", SysSetgid},
    {"setresuid", SysSetresuid},
    {"setresgid", SysSetresgid},
    {"setreuid", SysSetreuid},
    {"setregid", SysSetregid},
    {"getpgid", SysGetpgid},
    {"getsid", SysGetsid},
    {"setpgid", SysSetpgid},
    {"setsid", SysSetsid},
    {"kill", SysKill},
    {"rt_sigqueueinfo", SysSigqueueinfo},
    {"rt_sigaction", SysSigaction},
    {"rt_sigprocmask", SysSigprocmask},
    {"rt_sigpending", SysSigpending},
    {"rt_sigsuspend", SysSigsuspend},
    {"sigaltstack", SysNothing},
    {"signal_info", SysSignalInfo},
    {"startup_size", SysStartupSize},
    {"startup_copy", SysStartupCopy},
    {"set_robust_list", SysNothing},
    {"sched_yield", SysNothing},
    {"membarrier", SysNothing},
    {"mmap2", SysMmap},
    {"munmap", SysMunmap},
    {"mremap", SysMremap},
    {"mprotect", SysMprotect},
    {"madvise", SysMadvise},
    {"brk", SysBrk},
    {"getrusage", SysGetrusage},
    {"prlimit64", SysPrlimit},
};

}  // namespace

CallTable ProcessCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
