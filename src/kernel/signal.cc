// Signals: posting, deciding, delivering. Handlers run at safe points only, on the guest's own
// stack.

#include <sys/wait.h>

#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "arena/platform.h"
#include "kernel/exec.h"
#include "kernel/live_fork.h"
#include "kernel/process.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kIgnore = 1;
constexpr uint64_t Bits(std::initializer_list<int> numbers) {
  uint64_t bits = 0;
  for (const int number : numbers) bits |= uint64_t{1} << (number - 1);
  return bits;
}
constexpr uint64_t kStopSignals = Bits({SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU});
constexpr uint64_t kIgnoredByDefault = Bits({SIGCHLD, SIGCONT, SIGURG, SIGWINCH});
constexpr uint64_t kUncatchable = Bits({SIGKILL, SIGSTOP});

enum class Action { kIgnore, kStop, kEnd, kHandle };

Action ActionOf(const Process& process, uint32_t number) {
  const Disposition& own = process.disposition[number];
  if ((SignalBit(number) & kUncatchable) == 0) {
    if (own.handler == kIgnore) return Action::kIgnore;
    if (own.handler != 0) return Action::kHandle;
  }
  if ((SignalBit(number) & kIgnoredByDefault) != 0) return Action::kIgnore;
  return (SignalBit(number) & kStopSignals) != 0 ? Action::kStop : Action::kEnd;
}

// Under table_lock. The host signal makes a thread in compiled code look; one in the kernel looks
// by itself.
void Kick(Thread& target) {
  control::Slot& slot = SlotOf(target);
  if (slot.inside.load() != 0) return;
  slot.kick.store(1);
  control::Control& control = *TheKernel().control;
  control.kicker_bell.fetch_add(1);
  platform::WakeWord(&control.kicker_bell, 1);
}

// What waits for the thread and is not blocked.
uint64_t ReadySignals(const Thread& thread) {
  const uint64_t pending = thread.pending.load() | thread.process->pending.load();
  return pending & ~(thread.mask & ~kUncatchable);
}

bool HasToEnd(const Thread& thread) {
  const Thread* survivor = thread.process->survivor.load();
  return survivor != nullptr && survivor != &thread;
}
bool HasToStop(const Thread& thread) {
  return thread.process->state.load() == ProcessState::kStopped;
}

// Under table_lock: who is to take a signal of the process, or null when all block it. Programs
// expect signals in their first thread.
Thread* TakerOf(Process& process, uint32_t number) {
  Thread* taker = nullptr;
  for (Thread* thread = process.threads; thread != nullptr; thread = thread->next) {
    if ((thread->mask & SignalBit(number) & ~kUncatchable) != 0) continue;
    if (thread == &process.leader) return thread;
    taker = thread;
  }
  return taker;
}

void TellParentOfStop(Process& process, int code, uint32_t status) {
  Process* parent = FindProcess(process.parent_pid);
  process.status_changed = true;
  if (parent == nullptr || parent->pid == kServicePid) return;
  if ((parent->disposition[SIGCHLD].flags & SA_NOCLDSTOP) == 0) {
    PostLocked(*parent, {SIGCHLD, code, static_cast<int32_t>(process.pid),
                         static_cast<int32_t>(process.who.uid), static_cast<int32_t>(status)});
  }
  NotifyThreads(*parent);
}

void Continue(Process& target) {
  target.pending.fetch_and(~kStopSignals);
  for (Thread* thread = target.threads; thread != nullptr; thread = thread->next)
    thread->pending.fetch_and(~kStopSignals);
  if (target.state.load() != ProcessState::kStopped) return;
  target.state.store(ProcessState::kLive);
  target.continued = true;
  TellParentOfStop(target, CLD_CONTINUED, SIGCONT);
  NotifyThreads(target);
}

// Under table_lock.
bool IsOrphaned(const Process& process) {
  const Kernel& kernel = TheKernel();
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    const Process* member = kernel.processes[i];
    if (member == nullptr || member->group != process.group ||
        member->state.load() == ProcessState::kFree)
      continue;
    const Process* parent = FindProcess(member->parent_pid);
    if (parent != nullptr && parent->group != process.group && parent->session == process.session)
      return false;
  }
  return true;
}

// Takes a signal out of what waits, the thread's own first.
void Remove(Thread& thread, uint32_t number, SignalInfo* info) {
  Process& process = *thread.process;
  const bool own = (thread.pending.load() & SignalBit(number)) != 0;
  *info = own ? thread.info[number] : process.info[number];
  (own ? thread.pending : process.pending).fetch_and(~SignalBit(number));
}

// Takes the lowest pending signal that is not blocked; 0 if there is none. Under table_lock.
uint32_t TakeSignal(Thread& thread, Action* action, SignalInfo* info) {
  for (;;) {
    const uint64_t ready = ReadySignals(thread);
    if (ready == 0) {
      UpdateAttention(thread);
      return 0;
    }
    // SIGKILL first, whatever else waits.
    const uint32_t number = (ready & SignalBit(SIGKILL)) != 0
                                ? SIGKILL
                                : static_cast<uint32_t>(std::countr_zero(ready)) + 1;
    Remove(thread, number, info);
    *action = ActionOf(*thread.process, number);
    if (*action != Action::kIgnore) return number;
  }
}

// Under table_lock, in the section that took the signal: a SIGCONT behind it must find the process
// stopped.
void Stop(Process& process, uint32_t number) {
  if (number != SIGSTOP && IsOrphaned(process)) return;
  process.state.store(ProcessState::kStopped);
  process.continued = false;
  process.wait_status = number << 8 | 0x7f;
  TellParentOfStop(process, CLD_STOPPED, number);
  for (Thread* thread = process.threads; thread != nullptr; thread = thread->next) {
    if (thread != &CurrentThread()) Alert(*thread);
  }
}

// Sleeps until SIGCONT, SIGKILL or the end of all threads.
void StayStopped(Thread& thread) {
  Process& process = *thread.process;
  for (;;) {
    const uint32_t seen = thread.sleeper.word.load();
    if (IsParking()) {
      Park();
      continue;
    }
    if (!HasToStop(thread) || HasToEnd(thread)) return;
    if ((process.pending.load() & SignalBit(SIGKILL)) != 0) {
      process.state.store(ProcessState::kLive);
      return;
    }
    platform::WaitOnWord(&thread.sleeper.word, seen, platform::kNever);
  }
}

// What others decided for all threads of the process. Under no lock.
void FollowProcess(Thread& thread) {
  if (IsParking()) Park();
  if (HasToStop(thread)) StayStopped(thread);
  if (HasToEnd(thread)) EndThread();
}

[[noreturn]] void End(uint32_t number) {
  ExitCurrent(number);  // no core is ever dumped, so bit 7 stays clear
}

// A hint without the lock: it is asked again under it.
bool HasDefaultAction(const Thread& thread) {
  if (HasToEnd(thread) || HasToStop(thread) || IsParking()) return true;
  for (uint64_t ready = ReadySignals(thread); ready != 0; ready &= ready - 1) {
    const auto number = static_cast<uint32_t>(std::countr_zero(ready)) + 1;
    if (ActionOf(*thread.process, number) != Action::kHandle) return true;
  }
  return false;
}

void TakeDefaultActions(Thread& thread) {
  for (;;) {
    uint32_t number = 0;
    Action action = Action::kIgnore;
    FollowProcess(thread);
    {
      const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
      for (uint64_t ready = ReadySignals(thread); ready != 0; ready &= ready - 1) {
        const uint32_t candidate = static_cast<uint32_t>(std::countr_zero(ready)) + 1;
        action = ActionOf(*thread.process, candidate);
        if (action == Action::kHandle) continue;
        number = candidate;
        SignalInfo info;
        Remove(thread, number, &info);
        if (action == Action::kStop) Stop(*thread.process, number);
        break;
      }
      UpdateAttention(thread);
    }
    if (number == 0) return;
    if (action == Action::kEnd) End(number);
    if (action == Action::kStop) StayStopped(thread);
  }
}

// Calls the guest's handler. False: it left by an exception.
bool RunHandler(Thread& thread, const SignalInfo& info, const Disposition& disposition,
                uint64_t old_mask) {
  if (!CallSignalHandler(disposition.handler, info, disposition.flags)) return false;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  thread.mask = old_mask;
  UpdateAttention(thread);
  return true;
}

}  // namespace

bool IsGroupOrphaned(const Process& process) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  return IsOrphaned(process);
}

void UpdateAttention(Thread& thread) {
  const bool acts =
      ReadySignals(thread) != 0 || HasToEnd(thread) || HasToStop(thread) || IsParking();
  thread.sleeper.attention.store(acts ? 1 : 0);
}

void Alert(Thread& thread) {
  thread.sleeper.attention.store(1);
  thread.sleeper.Notify();
  if (&thread != &CurrentThread()) Kick(thread);
}

void NotifyThreads(Process& process) {
  for (Thread* thread = process.threads; thread != nullptr; thread = thread->next)
    thread->sleeper.Notify();
}

void Retarget(Process& process) {
  if (process.threads == nullptr || process.threads->next == nullptr) {
    if (process.threads != nullptr && process.pending.load() != 0) {
      UpdateAttention(*process.threads);
      if (process.threads->sleeper.attention.load() != 0) Alert(*process.threads);
    }
    return;
  }
  for (uint64_t left = process.pending.load(); left != 0; left &= left - 1) {
    Thread* taker = TakerOf(process, static_cast<uint32_t>(std::countr_zero(left)) + 1);
    if (taker != nullptr && taker->sleeper.attention.load() == 0) Alert(*taker);
  }
}

namespace {

bool CanGetSignals(const Process& process) {
  const ProcessState state = process.state.load();
  return state != ProcessState::kFree && state != ProcessState::kZombie &&
         process.pid != kServicePid;
}

// What a signal does to the process at once, whoever takes it.
void Prepare(Process& target, uint32_t number) {
  if (number == SIGCONT || number == SIGKILL) Continue(target);
  if ((SignalBit(number) & kStopSignals) == 0) return;
  target.pending.fetch_and(~SignalBit(SIGCONT));
  for (Thread* thread = target.threads; thread != nullptr; thread = thread->next)
    thread->pending.fetch_and(~SignalBit(SIGCONT));
}

}  // namespace

void PostLocked(Process& target, const SignalInfo& info) {
  const auto number = static_cast<uint32_t>(info.number);
  if (!CanGetSignals(target)) return;
  Prepare(target, number);
  Thread* taker = TakerOf(target, number);
  if (taker != nullptr && ActionOf(target, number) == Action::kIgnore) return;
  target.info[number] = info;
  target.pending.fetch_or(SignalBit(number));
  if (taker != nullptr) {
    Alert(*taker);
    return;
  }
  for (Thread* thread = target.threads; thread != nullptr; thread = thread->next) {
    if ((thread->awaited & SignalBit(number)) != 0) thread->sleeper.Notify();
  }
}

void PostToThreadLocked(Thread& target, const SignalInfo& info) {
  const auto number = static_cast<uint32_t>(info.number);
  Process& process = *target.process;
  // Nobody can do these for himself alone.
  if (((SignalBit(number) & kUncatchable) | (SignalBit(number) & kStopSignals)) != 0) {
    PostLocked(process, info);
    return;
  }
  if (!CanGetSignals(process)) return;
  Prepare(process, number);
  const bool blocked = (target.mask & SignalBit(number) & ~kUncatchable) != 0;
  if (!blocked && ActionOf(process, number) == Action::kIgnore) return;
  target.info[number] = info;
  target.pending.fetch_or(SignalBit(number));
  if (!blocked) {
    Alert(target);
  } else if ((target.awaited & SignalBit(number)) != 0) {
    target.sleeper.Notify();
  }
}

void Post(Process& target, uint32_t number) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  const Process& sender = Current();
  const SignalInfo info = {static_cast<int32_t>(number), SI_USER, static_cast<int32_t>(sender.pid),
                           static_cast<int32_t>(sender.who.uid), 0};
  if (&target == &sender) {
    PostToThreadLocked(CurrentThread(), info);
  } else {
    PostLocked(target, info);
  }
}

void PostToGroup(uint32_t group, uint32_t number) {
  Kernel& kernel = TheKernel();
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* member = kernel.processes[i];
    if (member != nullptr && member->group == group)
      PostLocked(*member, {static_cast<int32_t>(number), SI_KERNEL, 0, 0, 0});
  }
}

void SetTemporaryMask(uint64_t mask) {
  Thread& thread = CurrentThread();
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  thread.saved_mask = thread.mask;
  thread.has_saved_mask = true;
  thread.mask = mask & ~kUncatchable;
  UpdateAttention(thread);
  Retarget(*thread.process);
}

void RestoreMask() {
  Thread& thread = CurrentThread();
  if (!thread.has_saved_mask) return;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  thread.mask = thread.saved_mask;
  thread.has_saved_mask = false;
  UpdateAttention(thread);
  Retarget(*thread.process);
}

bool DeliverSignals(Delivery* delivery) {
  Kernel& kernel = TheKernel();
  Thread& thread = CurrentThread();
  Process& process = *thread.process;
  for (;;) {
    Action action = Action::kIgnore;
    Disposition disposition;
    SignalInfo info = {};
    uint64_t old_mask = 0;
    uint32_t number = 0;
    FollowProcess(thread);
    {
      const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
      number = TakeSignal(thread, &action, &info);
      if (number == 0 || action == Action::kHandle) {
        old_mask = thread.has_saved_mask ? thread.saved_mask : thread.mask;
        thread.has_saved_mask = false;
      }
      if (number == 0) {
        thread.mask = old_mask;
        UpdateAttention(thread);
        if (thread.sleeper.attention.load() == 0) return true;
        continue;
      }
      if (action == Action::kHandle) {
        disposition = process.disposition[number];
        thread.mask |= disposition.mask;
        if ((disposition.flags & SA_NODEFER) == 0) thread.mask |= SignalBit(number);
        thread.mask &= ~kUncatchable;
        if ((disposition.flags & SA_RESETHAND) != 0) process.disposition[number] = {};
        UpdateAttention(thread);
        if (HasOtherThreads()) Retarget(process);
      }
      if (action == Action::kStop) Stop(process, number);
    }
    switch (action) {
      case Action::kEnd:
        End(number);
      case Action::kStop:
        StayStopped(thread);
        break;
      case Action::kHandle:
        delivery->handled = true;
        if ((disposition.flags & SA_RESTART) == 0) delivery->restarts = false;
        if (!RunHandler(thread, info, disposition, old_mask)) return false;
        break;
      case Action::kIgnore:
        break;
    }
  }
}

void LeaveTakingDefaultActions() {
  Thread& thread = CurrentThread();
  control::Slot& slot = SlotOf(thread);
  do {
    slot.inside.store(1);
    TakeDefaultActions(thread);
    slot.inside.store(0);
  } while (HasDefaultAction(thread));
}

}  // namespace cordon::kernel
