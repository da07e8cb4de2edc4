// Processes come and go: fork, exit, wait, orphans, groups.

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "arena/platform.h"
#include "kernel/live_fork.h"
#include "kernel/memory_map.h"
#include "kernel/open_file.h"
#include "kernel/process.h"
#include "kernel/socket.h"
#include "kernel/terminal.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kMaxPid = 32768;

bool PidInUse(uint32_t pid) {
  const Kernel& kernel = TheKernel();
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    const Process* process = kernel.processes[i];
    if (process == nullptr || process->state.load() == ProcessState::kFree) continue;
    if (process->pid == pid || process->group == pid || process->session == pid) return true;
  }
  return kernel.thread_count > 0 && FindThread(pid) != nullptr;
}

// A free slot with its Process, or null. A zombie keeps its slot until it is waited for.
Process* TakeSlot() {
  Kernel& kernel = TheKernel();
  for (uint32_t i = 0; i < control::kMaxSlots; ++i) {
    Process*& process = kernel.processes[i];
    if (IsSlotOfThread(i)) continue;
    if (process == nullptr) {
      process = kernel.arena->New<Process>();
      if (process == nullptr) return nullptr;
    } else if (process->state.load() != ProcessState::kFree) {
      continue;
    }
    process->slot = process->leader.slot = i;
    kernel.slot_end = std::max(kernel.slot_end, i + 1);
    return process;
  }
  return nullptr;
}

// Everything a child has from its parent but descriptors, and nothing that a former owner of the
// slot left.
void Inherit(Process& child, const Process& parent) {
  Thread& thread = child.leader;
  thread.tid = child.pid;
  thread.next = nullptr;
  thread.pending = 0;
  thread.sleeper.attention = IsParking() ? 1 : 0;
  thread.mask = CurrentThread().mask;
  thread.awaited = 0;
  thread.has_saved_mask = false;
  thread.waits_for_futex = false;
  thread.clear_tid = CurrentThread().clear_tid;
  child.threads = &thread;
  child.thread_count = 1;
  child.survivor = nullptr;
  child.execs = false;
  child.pending = 0;
  child.parked = false;
  child.execed = child.status_changed = child.continued = false;
  child.job = child.run_job = -1;
  child.run = parent.run;
  HoldAccount(child, parent.account);
  child.alarm_ns = child.alarm_interval_ns = 0;
  for (ProcessorTimer& timer : child.processor_timers) timer = {};
  child.start_ns = platform::ClockNs(1);
  child.cpu_ns = child.children_cpu_ns = 0;
  // Of the threads only the calling one is copied.
  child.thread_pages = OwnData().charged_pages;
  child.committed_pages = parent.committed_pages - parent.thread_pages + child.thread_pages;
  child.parent_pid = parent.pid;
  child.group = parent.group;
  child.session = parent.session;
  child.who = parent.who;
  child.umask = parent.umask;
  child.nice = parent.nice;
  memcpy(child.avoided_processors, parent.avoided_processors, sizeof child.avoided_processors);
  child.terminal = parent.terminal;
  if (child.terminal != nullptr) Retain(child.terminal);
  child.root = parent.root;
  child.directory = parent.directory;
  child.executable = parent.executable;
  for (const vfs::Node* node : {&child.root, &child.directory, &child.executable}) {
    if (node->fs != nullptr) node->fs->Reference(node->id);
  }
  memcpy(child.disposition, parent.disposition, sizeof child.disposition);
  memcpy(child.command, parent.command, sizeof child.command);
  memcpy(child.command_line, parent.command_line, parent.command_line_size);
  child.command_line_size = parent.command_line_size;
  child.descriptor_limit = parent.descriptor_limit;
  child.stack_pages = parent.stack_pages;
  child.address_limit = parent.address_limit;
  child.address_limit_hard = parent.address_limit_hard;
  child.descriptor_end = parent.descriptor_end;
  for (uint32_t i = 0; i < parent.descriptor_end; ++i) {
    child.descriptors[i] = parent.descriptors[i];
    if (child.descriptors[i] != 0)
      Retain(reinterpret_cast<OpenFile*>(child.descriptors[i] & ~uintptr_t{1}));
  }
}

void ReleaseNodes(Process& process) {
  for (vfs::Node* node : {&process.root, &process.directory, &process.executable}) {
    if (node->fs != nullptr) node->fs->Release(node->id);
    *node = {};
  }
}

// Under table_lock. A stopped member of a group that no living process outside it, but in its
// session, can continue, would stay stopped for ever (POSIX, _exit).
void HangUpIfOrphaned(uint32_t group, const Process* leaving) {
  Kernel& kernel = TheKernel();
  bool has_stopped = false;
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    const Process* member = kernel.processes[i];
    if (member == nullptr || member == leaving || member->group != group) continue;
    const ProcessState state = member->state.load();
    if (state != ProcessState::kLive && state != ProcessState::kStopped) continue;
    const Process* parent = FindProcess(member->parent_pid);
    if (parent != nullptr && parent != leaving && parent->pid != kServicePid &&
        parent->group != group && parent->session == member->session) {
      return;
    }
    has_stopped = has_stopped || state == ProcessState::kStopped;
  }
  if (!has_stopped) return;
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* member = kernel.processes[i];
    if (member == nullptr || member == leaving || member->group != group) continue;
    PostLocked(*member, {SIGHUP, SI_KERNEL, 0, 0, 0});
    PostLocked(*member, {SIGCONT, SI_KERNEL, 0, 0, 0});
  }
}

// Under table_lock.
void Bury(Process& process) {
  process.state.store(ProcessState::kFree);
  process.pid = process.group = process.session = 0;
}

bool IgnoresChildren(const Process& parent) {
  const Disposition& child = parent.disposition[SIGCHLD];
  return child.handler == 1 || (child.flags & SA_NOCLDWAIT) != 0;
}

void GiveAwayChildren(Process& leaving) {
  Kernel& kernel = TheKernel();
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* child = kernel.processes[i];
    if (child == nullptr || child->state.load() == ProcessState::kFree ||
        child->parent_pid != leaving.pid)
      continue;
    child->parent_pid = kServicePid;
    if (child->state.load() == ProcessState::kZombie) {
      Bury(*child);
    } else if (child->group != leaving.group && child->session == leaving.session) {
      HangUpIfOrphaned(child->group, &leaving);
    }
  }
}

void TellParent(Process& process) {
  Kernel& kernel = TheKernel();
  Process* parent = FindProcess(process.parent_pid);
  if (process.job >= 0) {
    control::Job& job = kernel.control->jobs[process.job];
    PublishRun(process);
    job.wait_status.store(process.wait_status);
    job.state.store(control::Job::kExited);
    kernel.control->keeper_bell.fetch_add(1);
    platform::WakeWord(&kernel.control->keeper_bell, control::kKeeperThreads);
  }
  if (parent == nullptr || parent->pid == kServicePid || IgnoresChildren(*parent)) Bury(process);
  if (parent == nullptr || parent->pid == kServicePid) return;
  const bool killed = (process.wait_status & 0x7f) != 0;
  PostLocked(*parent, {SIGCHLD, killed ? CLD_KILLED : CLD_EXITED, static_cast<int32_t>(process.pid),
                       static_cast<int32_t>(process.who.uid),
                       static_cast<int32_t>(killed ? process.wait_status & 0x7f
                                                   : process.wait_status >> 8)});
  NotifyThreads(*parent);
}

bool Matches(const Process& child, const Process& parent, int32_t pid) {
  if (child.parent_pid != parent.pid || child.state.load() == ProcessState::kFree) return false;
  if (pid > 0) return child.pid == static_cast<uint32_t>(pid);
  if (pid == 0) return child.group == parent.group;
  return pid == -1 || child.group == static_cast<uint32_t>(-pid);
}

// Under table_lock: a child with news, and its status. Null and `*any` says whether there are
// children at all.
Process* ChildWithNews(int32_t pid, uint32_t options, uint32_t* status, bool* any) {
  Kernel& kernel = TheKernel();
  const Process& parent = Current();
  *any = false;
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* child = kernel.processes[i];
    if (child == nullptr || !Matches(*child, parent, pid)) continue;
    *any = true;
    if (child->state.load() == ProcessState::kZombie && (options & WEXITED) != 0) {
      *status = child->wait_status;
      return child;
    }
    if (!child->status_changed) continue;
    if (child->continued && (options & WCONTINUED) != 0) {
      *status = 0xffff;
      return child;
    }
    if (!child->continued && (options & WUNTRACED) != 0) {
      *status = child->wait_status;
      return child;
    }
  }
  return nullptr;
}

}  // namespace

uint32_t NewIdentifier() {
  Kernel& kernel = TheKernel();
  do {
    kernel.last_pid = kernel.last_pid >= kMaxPid ? kServicePid + 1 : kernel.last_pid + 1;
  } while (PidInUse(kernel.last_pid));
  return kernel.last_pid;
}

bool HasRoomForThread() {
  const Kernel& kernel = TheKernel();
  if (kernel.process_count + kernel.thread_count < kernel.control->limits.max_processes)
    return true;
  MeetLimit(control::kLimitProcesses);
  return false;
}

bool IsSlotOfThread(uint32_t slot) {
  return (TheKernel().thread_slots[slot / 64] >> slot % 64 & 1) != 0;
}

void AnnounceLive(const Thread& thread, uint32_t host_pid) {
  control::Slot& slot = SlotOf(thread);
  slot.host_tid.store(platform::HostThread());
  slot.host_pid.store(host_pid);
  slot.inside.store(1);
  slot.state.store(control::Slot::kLive);
}

Process* FindProcess(uint32_t pid) {
  const Kernel& kernel = TheKernel();
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* process = kernel.processes[i];
    if (process != nullptr && process->pid == pid && process->state.load() != ProcessState::kFree)
      return process;
  }
  return nullptr;
}

Process* CreateServiceProcess() {
  Process* service = TakeSlot();
  if (service == nullptr) return nullptr;
  service->pid = service->group = service->session = kServicePid;
  TheKernel().last_pid = kServicePid;
  memcpy(service->command, "init", 5);
  SetCurrent(service);
  service->leader.tid = kServicePid;
  AnnounceLive(service->leader, platform::HostThread());
  service->state.store(ProcessState::kLive);
  SlotOf(*service).inside.store(0);
  return service;
}

namespace {

// A process that does not run yet, or null and the limit is noted.
Process* NewProcess() {
  Kernel& kernel = TheKernel();
  Process& parent = Current();
  // Other threads open and close, and change the directory.
  const MutexLock descriptors(parent.descriptor_lock, LockRank::kDescriptorTable);
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  if (!HasRoomForThread()) return nullptr;
  Process* child = TakeSlot();
  if (child == nullptr) {
    MeetLimit(control::kLimitProcesses);
    return nullptr;
  }
  child->pid = NewIdentifier();
  Inherit(*child, parent);
  child->state.store(ProcessState::kStarting);
  SlotOf(*child).state.store(control::Slot::kStarting);
  ++kernel.started;
  kernel.peak = std::max<uint64_t>(kernel.peak, ++kernel.process_count);
  return child;
}

}  // namespace

int32_t Fork() {
  Kernel& kernel = TheKernel();
  // The copy's map of its memory must be true.
  const MutexLock memory(MemoryMapLock(), LockRank::kMemoryMap);
  Process* child = NewProcess();
  if (child == nullptr) return -EAGAIN;
  const auto pid = static_cast<int32_t>(child->pid);
  int result = ChargePages(child->committed_pages) ? 0 : -ENOMEM;
  const bool charged = result == 0;
  if (charged) result = platform::CloneProcess();
  if (result == 0 && charged) {
    // The copy: the rest of the kernel's private state is right as it is.
    SetCurrent(child);
    ForgetOtherThreads();
    AnnounceLive(child->leader, platform::HostThread());
    child->state.store(ProcessState::kLive);
    return 0;
  }
  if (result > 0) return pid;
  if (charged) ReturnPages(*child, child->committed_pages);
  CloseAll(*child, false);
  LeaveTerminal(*child);
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  ReleaseNodes(*child);
  LeaveAccount(*child, 0);
  SlotOf(*child).state.store(control::Slot::kFree);
  --kernel.process_count;
  Bury(*child);
  return result == -ENOMEM ? -ENOMEM : -EAGAIN;
}

namespace {

// Gives back what a process has; the process itself may be gone from the host.
void GiveBack(Process& process) {
  CloseAll(process, false);
  // Once more, for references that others held only while they looked.
  CollectLostSockets();
  LeaveTerminal(process);
  ReleaseNodes(process);
  ReturnPages(process, process.committed_pages);
}

// Under table_lock, as the last thing of a process: its slot may belong to somebody else as soon as
// the lock is free.
void BecomeZombie(Process& process, uint32_t wait_status, uint64_t cpu_ns) {
  Kernel& kernel = TheKernel();
  control::Slot& slot = SlotOf(process);
  process.committed_pages = process.thread_pages = 0;
  process.cpu_ns = cpu_ns;
  LeaveAccount(process, cpu_ns);
  process.wait_status = wait_status;
  process.status_changed = false;
  process.alarm_ns = 0;
  for (ProcessorTimer& timer : process.processor_timers) timer = {};
  FreeThreads(process);
  GiveAwayChildren(process);
  const uint32_t group = process.group;
  process.state.store(ProcessState::kZombie);
  --kernel.process_count;
  // Only a group that loses its tie to the session just now.
  const Process* parent = FindProcess(process.parent_pid);
  if (parent != nullptr && parent->group != group && parent->session == process.session)
    HangUpIfOrphaned(group, &process);
  slot.state.store(control::Slot::kGone);
  slot.inside.store(0);
  TellParent(process);
}

}  // namespace

void ExitCurrent(uint32_t wait_status) {
  Process& process = Current();
  OwnSlot().inside.store(1);
  ReleaseHeld();
  if (!EndOtherThreads()) EndThread();
  OwnData().ending = true;
  GiveBack(process);
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    BecomeZombie(process, wait_status, platform::ClockNs(2));
  }
  platform::ExitProcess(0);
}

int32_t BuryDead(uint32_t slot, uint32_t wait_status) {
  Kernel& kernel = TheKernel();
  if (slot >= control::kMaxSlots) return -EINVAL;
  Process* process = nullptr;
  {
    const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
    process = kernel.processes[slot];
    const bool there = process != nullptr && process->pid != kServicePid &&
                       (process->state.load() == ProcessState::kLive ||
                        process->state.load() == ProcessState::kStopped);
    if (!there) return -ESRCH;
  }
  GiveBack(*process);
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  BecomeZombie(*process, wait_status, 0);
  return 0;
}

int32_t WaitFor(int32_t pid, uint32_t options, uint32_t* status, int32_t* waited,
                uint64_t* cpu_ns) {
  Kernel& kernel = TheKernel();
  Process& parent = Current();
  Sleeper& sleeper = CurrentThread().sleeper;
  // A child that is there goes before the signal that tells of it.
  for (Wake wake = Wake::kWoken;;) {
    const uint32_t seen = sleeper.word.load();
    {
      const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
      bool any = false;
      Process* child = ChildWithNews(pid, options, status, &any);
      if (child != nullptr) {
        *waited = static_cast<int32_t>(child->pid);
        *cpu_ns = child->cpu_ns + child->children_cpu_ns;
        if ((options & WNOWAIT) != 0) return 0;
        child->status_changed = false;
        if (child->state.load() == ProcessState::kZombie) {
          parent.children_cpu_ns += *cpu_ns;
          Bury(*child);
        }
        return 0;
      }
      if (!any) return -ECHILD;
    }
    if ((options & WNOHANG) != 0) {
      *waited = 0;
      return 0;
    }
    if (wake == Wake::kInterrupted) return kRestart;
    wake = sleeper.SleepFrom(seen, platform::kNever);
  }
}

}  // namespace cordon::kernel
