// Signals: posting, deciding, delivering. Handlers run at safe points only, on the guest's own
// stack.

#include <sys/wait.h>

#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "arena/platform.h"
#include "kernel/exec.h"
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
void Kick(Process& target) {
  control::Slot& slot = SlotOf(target);
  if (slot.inside.load() != 0) return;
  slot.kick.store(1);
  control::Control& control = *TheKernel().control;
  control.kicker_bell.fetch_add(1);
  platform::WakeWord(&control.kicker_bell, 1);
}

void TellParentOfStop(Process& process, int code, uint32_t status) {
  Process* parent = FindProcess(process.parent_pid);
  process.status_changed = true;
  if (parent == nullptr || parent->pid == kServicePid) return;
  if ((parent->disposition[SIGCHLD].flags & SA_NOCLDSTOP) == 0) {
    PostLocked(*parent, {SIGCHLD, code, static_cast<int32_t>(process.pid),
                         static_cast<int32_t>(process.who.uid), static_cast<int32_t>(status)});
  }
  parent->sleeper.Notify();
}

void Continue(Process& target) {
  target.pending.fetch_and(~kStopSignals);
  if (target.state.load() != ProcessState::kStopped) return;
  target.state.store(ProcessState::kLive);
  target.continued = true;
  TellParentOfStop(target, CLD_CONTINUED, SIGCONT);
  target.sleeper.Notify();
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

// Takes the lowest pending signal that is not blocked; 0 if there is none. Under table_lock.
uint32_t TakeSignal(Process& process, Action* action) {
  for (;;) {
    const uint64_t ready = process.pending.load() & ~(process.mask & ~kUncatchable);
    if (ready == 0) {
      UpdateAttention(process);
      return 0;
    }
    // SIGKILL first, whatever else waits.
    const uint32_t number = (ready & SignalBit(SIGKILL)) != 0
                                ? SIGKILL
                                : static_cast<uint32_t>(std::countr_zero(ready)) + 1;
    process.pending.fetch_and(~SignalBit(number));
    *action = ActionOf(process, number);
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
}

// Sleeps until SIGCONT or SIGKILL.
void StayStopped(Process& process) {
  for (;;) {
    const uint32_t seen = process.sleeper.word.load();
    if (process.state.load() != ProcessState::kStopped) return;
    if ((process.pending.load() & SignalBit(SIGKILL)) != 0) {
      process.state.store(ProcessState::kLive);
      return;
    }
    platform::WaitOnWord(&process.sleeper.word, seen, platform::kNever);
  }
}

[[noreturn]] void End(uint32_t number) {
  ExitCurrent(number);  // no core is ever dumped, so bit 7 stays clear
}

// A hint without the lock: it is asked again under it.
bool HasDefaultAction(const Process& process) {
  for (uint64_t ready = process.pending.load() & ~(process.mask & ~kUncatchable); ready != 0;
       ready &= ready - 1) {
    if (ActionOf(process, static_cast<uint32_t>(std::countr_zero(ready)) + 1) != Action::kHandle)
      return true;
  }
  return false;
}

void TakeDefaultActions(Process& process) {
  for (;;) {
    uint32_t number = 0;
    Action action = Action::kIgnore;
    {
      const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
      uint64_t ready = process.pending.load() & ~(process.mask & ~kUncatchable);
      for (; ready != 0; ready &= ready - 1) {
        const uint32_t candidate = static_cast<uint32_t>(std::countr_zero(ready)) + 1;
        action = ActionOf(process, candidate);
        if (action == Action::kHandle) continue;
        number = candidate;
        process.pending.fetch_and(~SignalBit(number));
        if (action == Action::kStop) Stop(process, number);
        break;
      }
      UpdateAttention(process);
    }
    if (number == 0) return;
    if (action == Action::kEnd) End(number);
    if (action == Action::kStop) StayStopped(process);
  }
}

// Calls the guest's handler. False: it left by an exception.
bool RunHandler(Process& process, uint32_t number, const Disposition& disposition,
                uint64_t old_mask) {
  const bool finished = CallSignalHandler(disposition.handler, number, disposition.flags);
  if (!finished) return false;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  process.mask = old_mask;
  UpdateAttention(process);
  return true;
}

}  // namespace

bool IsGroupOrphaned(const Process& process) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  return IsOrphaned(process);
}

void UpdateAttention(Process& process) {
  const uint64_t ready = process.pending.load() & ~(process.mask & ~kUncatchable);
  process.sleeper.attention.store(ready != 0 ? 1 : 0);
}

void PostLocked(Process& target, const SignalInfo& info) {
  const auto number = static_cast<uint32_t>(info.number);
  const ProcessState state = target.state.load();
  if (state == ProcessState::kFree || state == ProcessState::kZombie || target.pid == kServicePid)
    return;
  if (number == SIGCONT || number == SIGKILL) Continue(target);
  if ((SignalBit(number) & kStopSignals) != 0) target.pending.fetch_and(~SignalBit(SIGCONT));
  const bool blocked = (target.mask & SignalBit(number) & ~kUncatchable) != 0;
  if (!blocked && ActionOf(target, number) == Action::kIgnore) return;
  target.info[number] = info;
  target.pending.fetch_or(SignalBit(number));
  if (blocked && (target.awaited & SignalBit(number)) != 0) target.sleeper.Notify();
  if (blocked) return;
  target.sleeper.attention.store(1);
  target.sleeper.Notify();
  if (&target != &Current()) Kick(target);
}

void Post(Process& target, uint32_t number) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  const Process& sender = Current();
  PostLocked(target, {static_cast<int32_t>(number), SI_USER, static_cast<int32_t>(sender.pid),
                      static_cast<int32_t>(sender.who.uid), 0});
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
  Process& process = Current();
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  process.saved_mask = process.mask;
  process.has_saved_mask = true;
  process.mask = mask & ~kUncatchable;
  UpdateAttention(process);
}

void RestoreMask() {
  Process& process = Current();
  if (!process.has_saved_mask) return;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  process.mask = process.saved_mask;
  process.has_saved_mask = false;
  UpdateAttention(process);
}

bool DeliverSignals(Delivery* delivery) {
  Kernel& kernel = TheKernel();
  Process& process = Current();
  for (;;) {
    Action action = Action::kIgnore;
    Disposition disposition;
    uint64_t old_mask = 0;
    uint32_t number = 0;
    {
      const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
      number = TakeSignal(process, &action);
      if (number == 0 || action == Action::kHandle) {
        old_mask = process.has_saved_mask ? process.saved_mask : process.mask;
        process.has_saved_mask = false;
      }
      if (number == 0) {
        process.mask = old_mask;
        UpdateAttention(process);
        if (process.sleeper.attention.load() == 0) return true;
        continue;
      }
      if (action == Action::kHandle) {
        disposition = process.disposition[number];
        process.mask |= disposition.mask;
        if ((disposition.flags & SA_NODEFER) == 0) process.mask |= SignalBit(number);
        process.mask &= ~kUncatchable;
        if ((disposition.flags & SA_RESETHAND) != 0) process.disposition[number] = {};
        UpdateAttention(process);
      }
      if (action == Action::kStop) Stop(process, number);
    }
    switch (action) {
      case Action::kEnd:
        End(number);
      case Action::kStop:
        StayStopped(process);
        break;
      case Action::kHandle:
        delivery->handled = true;
        if ((disposition.flags & SA_RESTART) == 0) delivery->restarts = false;
        if (!RunHandler(process, number, disposition, old_mask)) return false;
        break;
      case Action::kIgnore:
        break;
    }
  }
}

void LeaveTakingDefaultActions() {
  Process& process = Current();
  control::Slot& slot = SlotOf(process);
  do {
    slot.inside.store(1);
    TakeDefaultActions(process);
    slot.inside.store(0);
  } while (HasDefaultAction(process));
}

}  // namespace cordon::kernel
