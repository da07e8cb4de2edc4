// The program's side of terminals: reading, writing, job control, settings; and their life.

#include "kernel/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/terminal_nodes.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kMaxTerminals = 64;
constexpr uint64_t kTenthNs = 100'000'000;
constexpr uint32_t kChunk = 512;

struct Table {
  Mutex lock;
  Terminal* entries[kMaxTerminals] = {};
};
Table* table = nullptr;  // in the arena; the pointer is inherited by clones

Terminal& Object(const OpenFile& file) {
  return *static_cast<Terminal*>(file.object);
}

bool Takes(const Process& process, uint32_t number) {
  return (CurrentThread().mask & SignalBit(number)) == 0 &&
         process.disposition[number].handler != 1;
}

// Job control: 0 when the caller may go on, kRestart when its group was told to stop, -EIO when
// nobody could continue it.
int32_t RequireForeground(const Terminal& terminal, uint32_t number) {
  const Process& process = Current();
  const uint32_t foreground = terminal.foreground.load();
  if (process.terminal != &terminal || terminal.session.load() != process.session) return 0;
  if (foreground == 0 || foreground == process.group) return 0;
  if (!Takes(process, number)) return number == SIGTTIN ? -EIO : 0;
  if (IsGroupOrphaned(process)) return -EIO;
  PostToGroup(process.group, number);
  return kRestart;
}

// Under the lock. What the client typed goes through the line discipline as far as there is room.
void Pump(Terminal& terminal) {
  control::Ring* ring = terminal.keeper_input;
  if (ring == nullptr || terminal.hung_up.load()) return;
  for (;;) {
    uint32_t at = ring->read.load();
    uint32_t left = std::min(ring->written.load() - at, control::kRingBytes);
    if (left == 0 || !CanReceive(terminal)) break;
    for (; left > 0 && CanReceive(terminal); --left) {
      Receive(terminal, ring->data[at++ % control::kRingBytes]);
    }
    ring->read.store(at);
    WakeKeeper(ring->writer_wants, ring->read);
  }
  // Signal characters must be seen when nobody reads: the keeper always rings.
  ring->reader_wants.store(1);
}

bool HasInput(Terminal& terminal, uint32_t wanted) {
  if (terminal.hung_up.load()) return true;
  if ((terminal.settings.local & ICANON) != 0) return HasLine(terminal);
  return ReadableBytes(terminal) >= std::max(wanted, 1u);
}

struct InputWanted {
  Terminal* terminal;
  uint32_t bytes;
};
bool InputReady(void* argument) {
  auto* wanted = static_cast<InputWanted*>(argument);
  const MutexLock lock(wanted->terminal->lock, LockRank::kInode);
  Pump(*wanted->terminal);
  return HasInput(*wanted->terminal, wanted->bytes);
}

// Bytes that a read in raw mode waits for.
uint32_t Least(const Terminal& terminal, uint64_t size) {
  const uint32_t least = terminal.settings.characters[VMIN];
  return static_cast<uint32_t>(std::min<uint64_t>(least, size));
}

// One attempt. -EAGAIN: nothing there.
int64_t TryRead(Terminal& terminal, void* to, uint64_t size, uint32_t least) {
  const MutexLock lock(terminal.lock, LockRank::kInode);
  Pump(terminal);
  auto* bytes = static_cast<std::byte*>(to);
  if ((terminal.settings.local & ICANON) == 0 && ReadableBytes(terminal) < least &&
      !terminal.hung_up.load()) {
    return -EAGAIN;
  }
  uint64_t done = 0;
  while (done < size) {
    uint8_t part[kChunk];
    const auto wanted = static_cast<uint32_t>(std::min<uint64_t>(size - done, sizeof part));
    uint32_t count = 0;
    if (!TakeInput(terminal, part, wanted, &count)) break;
    if (cordon_copy(bytes + done, part, count) != 0) return -EFAULT;
    done += count;
    if (count < wanted || (terminal.settings.local & ICANON) != 0) {
      Pump(terminal);
      return static_cast<int64_t>(done);
    }
  }
  if (done > 0 || terminal.hung_up.load()) return static_cast<int64_t>(done);
  return -EAGAIN;
}

int64_t ReadTerminal(OpenFile& file, void* to, uint64_t size) {
  Terminal& terminal = Object(file);
  if (size == 0) return 0;
  uint64_t deadline = platform::kNever;
  for (;;) {
    const int32_t allowed = RequireForeground(terminal, SIGTTIN);
    if (allowed != 0) return allowed;
    const bool raw = (terminal.settings.local & ICANON) == 0;
    const uint64_t time_ns = raw ? terminal.settings.characters[VTIME] * kTenthNs : 0;
    uint32_t least = raw ? Least(terminal, size) : 1;
    const bool returns_at_once = raw && least == 0 && time_ns == 0;
    const int64_t got = TryRead(terminal, to, size, std::max(least, 1u));
    if (got != -EAGAIN) return got;
    if (returns_at_once) return 0;
    if (!file.blocks()) return -EAGAIN;
    // Without VMIN the time runs from the beginning, with it from the first byte.
    if (time_ns != 0 && deadline == platform::kNever &&
        (least == 0 || ReadableBytes(terminal) > 0)) {
      deadline = platform::ClockNs(1) + time_ns;
    }
    if (time_ns != 0 && least > 1 && deadline == platform::kNever) least = 1;
    InputWanted wanted = {&terminal, least};
    const int32_t waited = WaitUntil(terminal.input_changed, InputReady, &wanted, deadline);
    if (waited == -ETIMEDOUT) {
      const int64_t rest = TryRead(terminal, to, size, 1);
      return rest == -EAGAIN ? 0 : rest;
    }
    if (waited != 0) return waited;
  }
}

bool CanSend(const Terminal& terminal) {
  if (terminal.hung_up.load()) return true;
  return !terminal.output_stopped && OutputRoom(terminal) >= kChunk;
}
bool OutputReady(void* argument) {
  auto* terminal = static_cast<Terminal*>(argument);
  const MutexLock lock(terminal->lock, LockRank::kInode);
  if (CanSend(*terminal)) return true;
  if (terminal->keeper_output == nullptr) return false;
  terminal->keeper_output->writer_wants.store(1);
  return CanSend(*terminal);
}

int64_t WriteTerminal(OpenFile& file, const void* from, uint64_t size) {
  Terminal& terminal = Object(file);
  const auto* bytes = static_cast<const std::byte*>(from);
  if ((terminal.settings.local & TOSTOP) != 0) {
    const int32_t allowed = RequireForeground(terminal, SIGTTOU);
    if (allowed != 0) return allowed;
  }
  uint64_t done = 0;
  while (done < size) {
    uint8_t part[kChunk];
    const auto count = static_cast<uint32_t>(std::min<uint64_t>(size - done, sizeof part));
    if (cordon_copy(part, bytes + done, count) != 0) {
      return done > 0 ? static_cast<int64_t>(done) : -EFAULT;
    }
    uint32_t sent = 0;
    {
      const MutexLock lock(terminal.lock, LockRank::kInode);
      if (terminal.hung_up.load()) return done > 0 ? static_cast<int64_t>(done) : -EIO;
      if (!terminal.output_stopped) sent = Send(terminal, part, count);
    }
    done += sent;
    if (sent == count) continue;
    if (!file.blocks()) return done > 0 ? static_cast<int64_t>(done) : -EAGAIN;
    const int32_t waited =
        WaitUntil(terminal.output_changed, OutputReady, &terminal, platform::kNever);
    if (waited != 0) return done > 0 ? static_cast<int64_t>(done) : waited;
  }
  return static_cast<int64_t>(done);
}

uint32_t PollTerminal(OpenFile& file) {
  Terminal& terminal = Object(file);
  if (terminal.hung_up.load()) return POLLIN | POLLHUP | POLLERR | POLLOUT;
  uint32_t events = OutputReady(&terminal) ? POLLOUT | POLLWRNORM : 0;
  const bool timed = terminal.settings.characters[VTIME] != 0;
  InputWanted wanted = {&terminal, timed ? 1 : uint32_t{terminal.settings.characters[VMIN]}};
  if (InputReady(&wanted)) events |= POLLIN | POLLRDNORM;
  return events;
}

void TerminalQueues(OpenFile& file, WaitQueue* out[2]) {
  out[0] = &Object(file).input_changed;
  out[1] = &Object(file).output_changed;
}

void CloseTerminal(OpenFile& file) {
  Terminal& terminal = Object(file);
  terminal.programs.fetch_sub(1);
  terminal.output_changed.WakeAll();  // the master's end of file
  Release(&terminal);
}

int32_t ControlFile(OpenFile& file, uint32_t request, uint32_t argument) {
  return TerminalControl(Object(file), request, argument);
}

constexpr Operations kTerminalOperations = {ReadTerminal,   WriteTerminal, PollTerminal,
                                            TerminalQueues, CloseTerminal, ControlFile,
                                            "terminal"};

int32_t SetForeground(Terminal& terminal, uint32_t group) {
  Kernel& kernel = TheKernel();
  const Process& process = Current();
  if (ControllingTerminal() != &terminal) return -ENOTTY;
  const int32_t allowed = RequireForeground(terminal, SIGTTOU);
  if (allowed != 0) return allowed;
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    const cordon::kernel::Process* member = kernel.processes[i];
    if (member == nullptr || member->state.load() == ProcessState::kFree) continue;
    if (member->group != group) continue;
    if (member->session != process.session) return -EPERM;
    terminal.foreground.store(group);
    return 0;
  }
  return static_cast<int32_t>(group) < 0 ? -EINVAL : -ESRCH;
}

int32_t SetSettings(Terminal& terminal, uint32_t request, uint32_t argument) {
  TerminalSettings settings;
  if (Load(&settings, argument) != 0) return -EFAULT;
  const int32_t allowed = RequireForeground(terminal, SIGTTOU);
  if (allowed != 0) return allowed;
  // Output needs no draining: what was written is on its way and is not processed again.
  const MutexLock lock(terminal.lock, LockRank::kInode);
  Pump(terminal);
  if (request == TCSETSF) FlushInput(terminal);
  ChangeSettings(terminal, settings);
  return 0;
}

int32_t Flush(Terminal& terminal, uint32_t which) {
  const int32_t allowed = RequireForeground(terminal, SIGTTOU);
  if (allowed != 0) return allowed;
  if (which > TCIOFLUSH) return -EINVAL;
  const MutexLock lock(terminal.lock, LockRank::kInode);
  Pump(terminal);
  if (which != TCOFLUSH) FlushInput(terminal);
  if (which != TCIFLUSH && terminal.output != nullptr) {
    terminal.output->taken = terminal.output->written;
    terminal.output_changed.WakeAll();
  }
  return 0;
}

int32_t Flow(Terminal& terminal, uint32_t action) {
  if (action > TCION) return -EINVAL;
  const MutexLock lock(terminal.lock, LockRank::kInode);
  if (action == TCOOFF || action == TCOON) {
    terminal.output_stopped = action == TCOOFF;
    terminal.output_changed.WakeAll();
  }
  return 0;
}

int32_t GiveUpControl(const Terminal& terminal) {
  if (ControllingTerminal() != &terminal) return -ENOTTY;
  LeaveTerminal(Current());
  return 0;
}

}  // namespace

void CreateTerminals() {
  table = TheKernel().arena->New<Table>();
  CreateTerminalNodes();
}

Terminal* NewTerminal() {
  auto* terminal = TheKernel().arena->New<Terminal>();
  if (terminal == nullptr) return nullptr;
  SetDefaults(*terminal);
  {
    const MutexLock lock(table->lock, LockRank::kDescriptorTable);
    auto* free = std::find(std::begin(table->entries), std::end(table->entries), nullptr);
    if (free == std::end(table->entries)) {
      TheKernel().arena->Delete(terminal);
      return nullptr;
    }
    terminal->number = static_cast<uint32_t>(free - table->entries);
    *free = terminal;
  }
  AddTerminalNode(terminal->number);
  return terminal;
}

Terminal* TerminalByNumber(uint32_t number) {
  if (number >= kMaxTerminals) return nullptr;
  const MutexLock lock(table->lock, LockRank::kDescriptorTable);
  Terminal* terminal = table->entries[number];
  if (terminal != nullptr) Retain(terminal);
  return terminal;
}

void Retain(Terminal* terminal) {
  terminal->references.fetch_add(1, std::memory_order_relaxed);
}

void Release(Terminal* terminal) {
  {
    const MutexLock lock(table->lock, LockRank::kDescriptorTable);
    if (terminal->references.fetch_sub(1) != 1) return;
    table->entries[terminal->number] = nullptr;
  }
  RemoveTerminalNode(terminal->number);
  if (terminal->output != nullptr) TheKernel().arena->Delete(terminal->output);
  TheKernel().arena->Delete(terminal);
}

Terminal* ControllingTerminal() {
  const Process& process = Current();
  if (!HasOtherThreads()) {
    Terminal* terminal = process.terminal;
    return terminal != nullptr && terminal->session.load() == process.session ? terminal : nullptr;
  }
  // Another thread may leave it meanwhile.
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  Terminal* terminal = process.terminal;
  if (terminal == nullptr || terminal->session.load() != process.session || !CanHold())
    return nullptr;
  Retain(terminal);
  HoldTerminal(terminal);
  return terminal;
}

int32_t TakeControl(Terminal& terminal) {
  Process& process = Current();
  if (ControllingTerminal() == &terminal) return 0;
  if (process.session != process.pid || ControllingTerminal() != nullptr) return -EPERM;
  Terminal* old = nullptr;
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    if (terminal.session.load() != 0) return -EPERM;
    old = process.terminal;
    terminal.session.store(process.session);
    terminal.foreground.store(process.group);
    Retain(&terminal);
    process.terminal = &terminal;
  }
  if (old != nullptr) Release(old);
  return 0;
}

void LeaveTerminal(Process& process) {
  Terminal* terminal = nullptr;
  uint32_t foreground = 0;
  bool was_leader = false;
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    terminal = process.terminal;
    if (terminal == nullptr) return;
    process.terminal = nullptr;
    if (process.session == process.pid && terminal->session.load() == process.session) {
      was_leader = true;
      foreground = terminal->foreground.exchange(0);
      terminal->session.store(0);
    }
  }
  if (was_leader) {
    // A client's terminal goes with its command; the rings may belong to another one next.
    if (terminal->keeper_input != nullptr) HangUp(*terminal);
    if (foreground != 0) PostToGroup(foreground, SIGHUP);
    if (foreground != 0) PostToGroup(foreground, SIGCONT);
  }
  Release(terminal);
}

void HangUp(Terminal& terminal) {
  {
    const MutexLock lock(terminal.lock, LockRank::kInode);
    if (terminal.hung_up.exchange(true)) return;
  }
  terminal.input_changed.WakeAll();
  terminal.output_changed.WakeAll();
  Kernel& kernel = TheKernel();
  const uint32_t foreground = terminal.foreground.load();
  const uint32_t session = terminal.session.load();
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* process = kernel.processes[i];
    if (process == nullptr || session == 0 || process->session != session) continue;
    if (process->pid != session && process->group != foreground) continue;
    PostLocked(*process, {SIGHUP, SI_KERNEL, 0, 0, 0});
    PostLocked(*process, {SIGCONT, SI_KERNEL, 0, 0, 0});
  }
}

void Resize(Terminal& terminal, const WindowSize& size) {
  {
    const MutexLock lock(terminal.lock, LockRank::kInode);
    const bool same = terminal.size.rows == size.rows && terminal.size.columns == size.columns;
    terminal.size = size;
    if (same) return;
  }
  const uint32_t foreground = terminal.foreground.load();
  if (foreground != 0) PostToGroup(foreground, SIGWINCH);
}

void ServeTerminals() {
  for (uint32_t i = 0; i < kMaxTerminals; ++i) {
    if (table->entries[i] == nullptr) continue;
    Terminal* terminal = TerminalByNumber(i);
    if (terminal == nullptr) continue;
    if (terminal->keeper_input != nullptr && !terminal->hung_up.load()) {
      const control::Ring& ring = *terminal->keeper_input;
      {
        const MutexLock lock(terminal->lock, LockRank::kInode);
        Pump(*terminal);
      }
      terminal->output_changed.WakeAll();
      const bool gone = ring.writer_closed.load() != 0 && ring.written.load() == ring.read.load();
      if (gone || terminal->keeper_output->reader_closed.load() != 0) HangUp(*terminal);
    }
    Release(terminal);
  }
}

OpenFile* OpenTerminal(Terminal* terminal, uint32_t flags) {
  OpenFile* file = NewOpenFile(&kTerminalOperations, flags, terminal);
  if (file == nullptr) {
    Release(terminal);
    return nullptr;
  }
  terminal->programs.fetch_add(1);
  terminal->was_opened = true;
  file->node = TerminalNode(terminal->number);
  return file;
}

Terminal* TerminalOf(const OpenFile& file) {
  return file.operations == &kTerminalOperations ? &Object(file) : nullptr;
}

int32_t TerminalControl(Terminal& terminal, uint32_t request, uint32_t argument) {
  switch (request) {
    case TCGETS: {
      return cordon::kernel::Store(argument, terminal.settings);
    }
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
      return SetSettings(terminal, request, argument);
    case TCSBRK:
    case TCSBRKP:
      return 0;
    case TCXONC:
      return Flow(terminal, argument);
    case TCFLSH:
      return Flush(terminal, argument);
    case TIOCSCTTY:
      return TakeControl(terminal);
    case TIOCNOTTY:
      return GiveUpControl(terminal);
    case TIOCGPGRP: {
      const uint32_t group = terminal.foreground.load();
      if (ControllingTerminal() != &terminal) return -ENOTTY;
      // As Linux: a number that no group has.
      return Store(argument, group == 0 ? uint32_t{INT32_MAX} : group);
    }
    case TIOCSPGRP: {
      uint32_t group = 0;
      if (Load(&group, argument) != 0) return -EFAULT;
      return SetForeground(terminal, group);
    }
    case TIOCGSID:
      if (ControllingTerminal() != &terminal) return -ENOTTY;
      return Store(argument, terminal.session.load());
    case TIOCGWINSZ:
      return Store(argument, terminal.size);
    case TIOCSWINSZ: {
      WindowSize size;
      if (Load(&size, argument) != 0) return -EFAULT;
      Resize(terminal, size);
      return 0;
    }
    case FIONREAD: {
      const MutexLock lock(terminal.lock, LockRank::kInode);
      Pump(terminal);
      return Store(argument, ReadableBytes(terminal));
    }
    case TIOCOUTQ:
      return Store(argument, terminal.output == nullptr
                                 ? 0u
                                 : terminal.output->written - terminal.output->taken);
    default:
      return -ENOTTY;
  }
}

}  // namespace cordon::kernel
