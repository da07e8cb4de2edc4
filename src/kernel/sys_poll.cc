// Waiting for descriptors: poll and select.

#include "kernel/poll.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/open_file.h"
#include "kernel/syscall.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kMaxPolled = 1024;

uint32_t ReadyEvents(OpenFile& file, uint32_t wanted) {
  return file.operations->poll(file) & (wanted | POLLERR | POLLHUP | POLLNVAL);
}

}  // namespace

int32_t PollFiles(PollEntry* polls, uint32_t count, uint64_t deadline_ns) {
  constexpr uint64_t kGlanceNs = 10'000'000;
  Thread& thread = CurrentThread();
  WaitQueue* queued[kPollWaiters] = {};
  uint32_t waiters = 0;
  // Looked up once: another thread may close them meanwhile.
  OpenFile* files[kMaxPolled];
  bool has_all = true;
  for (uint32_t i = 0; i < count; ++i) {
    OpenFile* file =
        polls[i].descriptor < 0 ? nullptr : FileOf(static_cast<uint32_t>(polls[i].descriptor));
    files[i] = file;
    if (file == nullptr) continue;
    WaitQueue* queues[2] = {};
    file->operations->queues(*file, queues);
    for (WaitQueue* queue : queues) {
      if (queue == nullptr) continue;
      if (waiters == kPollWaiters) {
        has_all = false;
        continue;
      }
      thread.waiters[waiters].sleeper = &thread.sleeper;
      queue->Add(thread.waiters[waiters]);
      queued[waiters++] = queue;
    }
  }
  int32_t ready = 0;
  for (Wake wake = Wake::kWoken;;) {
    const uint32_t seen = thread.sleeper.word.load();
    ready = 0;
    for (uint32_t i = 0; i < count; ++i) {
      polls[i].returned = 0;
      if (polls[i].descriptor < 0) continue;
      OpenFile* file = files[i];
      polls[i].returned = static_cast<int16_t>(
          file == nullptr ? POLLNVAL : ReadyEvents(*file, static_cast<uint16_t>(polls[i].events)));
      ready += polls[i].returned != 0 ? 1 : 0;
    }
    if (ready > 0 || deadline_ns == 0 || wake == Wake::kTimedOut) break;
    if (wake == Wake::kInterrupted) {
      ready = kRestartSleep;
      break;
    }
    // Queues beyond those that a process has waiters for are looked at from time to time.
    const uint64_t until =
        has_all ? deadline_ns : std::min(deadline_ns, platform::ClockNs(1) + kGlanceNs);
    wake = thread.sleeper.SleepFrom(seen, until);
    if (wake == Wake::kTimedOut && until < deadline_ns) wake = Wake::kWoken;
  }
  while (waiters > 0) {
    --waiters;
    queued[waiters]->Remove(thread.waiters[waiters]);
  }
  return ready;
}

namespace {

struct GuestTime {
  int64_t seconds;
  int32_t nanoseconds;
  int32_t padding;
};

// 0: at once; kNever: no time-out.
int DeadlineOf(uint32_t address, uint64_t* deadline_ns) {
  *deadline_ns = platform::kNever;
  if (address == 0) return 0;
  GuestTime time;
  if (Load(&time, address) != 0) return -EFAULT;
  if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= 1'000'000'000) return -EINVAL;
  if (time.seconds > INT32_MAX) return 0;
  const uint64_t wait =
      static_cast<uint64_t>(time.seconds) * 1'000'000'000 + static_cast<uint64_t>(time.nanoseconds);
  *deadline_ns = wait == 0 ? 0 : platform::ClockNs(1) + wait;
  return 0;
}

int UseMask(uint32_t address) {
  if (address == 0) return 0;
  uint64_t mask = 0;
  if (Load(&mask, address) != 0) return -EFAULT;
  SetTemporaryMask(mask);
  return 0;
}

int64_t SysPpoll(const uint64_t* slots) {
  const uint32_t count = Arg(slots, 1);
  if (count > kMaxPolled) return -EINVAL;
  PollEntry polls[kMaxPolled];
  uint64_t deadline = 0;
  int error = CopyIn(polls, Arg(slots, 0), count * sizeof(PollEntry));
  if (error == 0) error = DeadlineOf(Arg(slots, 2), &deadline);
  if (error == 0) error = UseMask(Arg(slots, 3));
  if (error != 0) return error;
  const int32_t ready = PollFiles(polls, count, SleepDeadline(deadline));
  if (ready >= 0) RestoreMask();
  if (ready >= 0 && CopyOut(Arg(slots, 0), polls, count * sizeof(PollEntry)) != 0) return -EFAULT;
  return ready;
}

// The sets are arrays of 32-bit words, as fd_set of the guest is.
int64_t SysPselect(const uint64_t* slots) {
  const uint32_t count = Arg(slots, 0);
  if (count > kMaxPolled) return -EINVAL;
  const uint32_t bytes = (count + 31) / 32 * 4;
  uint32_t sets[3][kMaxPolled / 32] = {};
  for (int i = 0; i < 3; ++i) {
    if (Arg(slots, 1 + i) != 0 && CopyIn(sets[i], Arg(slots, 1 + i), bytes) != 0) return -EFAULT;
  }
  PollEntry polls[kMaxPolled];
  uint32_t used = 0;
  for (uint32_t fd = 0; fd < count; ++fd) {
    const uint32_t bit = 1u << (fd % 32);
    const int events = ((sets[0][fd / 32] & bit) != 0 ? POLLIN : 0) |
                       ((sets[1][fd / 32] & bit) != 0 ? POLLOUT : 0) |
                       ((sets[2][fd / 32] & bit) != 0 ? POLLPRI : 0);
    if (events == 0) continue;
    if (FileOf(fd) == nullptr) return -EBADF;
    polls[used++] = {static_cast<int32_t>(fd), static_cast<int16_t>(events), 0};
  }
  uint64_t deadline = 0;
  uint32_t mask_at[2] = {};
  int error = DeadlineOf(Arg(slots, 4), &deadline);
  if (error == 0 && Arg(slots, 5) != 0) error = Load(&mask_at, Arg(slots, 5));
  if (error == 0) error = UseMask(mask_at[0]);
  if (error != 0) return error;
  const int32_t ready = PollFiles(polls, used, SleepDeadline(deadline));
  if (ready < 0) return ready;
  RestoreMask();
  memset(sets, 0, sizeof sets);
  int64_t bits = 0;
  for (uint32_t i = 0; i < used; ++i) {
    const auto fd = static_cast<uint32_t>(polls[i].descriptor);
    const bool found[3] = {
        (polls[i].events & POLLIN) != 0 && (polls[i].returned & (POLLIN | POLLHUP | POLLERR)) != 0,
        (polls[i].events & POLLOUT) != 0 && (polls[i].returned & (POLLOUT | POLLERR)) != 0,
        (polls[i].returned & POLLPRI) != 0};
    for (int set = 0; set < 3; ++set) {
      if (!found[set]) continue;
      sets[set][fd / 32] |= 1u << (fd % 32);
      ++bits;
    }
  }
  for (int i = 0; i < 3; ++i) {
    if (Arg(slots, 1 + i) != 0 && CopyOut(Arg(slots, 1 + i), sets[i], bytes) != 0) return -EFAULT;
  }
  return bits;
}

constexpr CallRow kRows[] = {
    {"ppoll_time64", SysPpoll},
    {"pselect6_time64", SysPselect},
};

}  // namespace

CallTable PollCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
