// WASI: arguments, clocks, waiting, the end.

#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <iterator>

#include "arena/platform.h"
#include "kernel/exec.h"
#include "kernel/guest_memory.h"
#include "kernel/open_file.h"
#include "kernel/poll.h"
#include "kernel/process.h"
#include "kernel/wasi.h"

namespace cordon::kernel {
namespace {

// Strings with their zeros, and an array of pointers to them.
int64_t StoreStrings(std::string_view strings, uint32_t pointers, uint32_t buffer) {
  if (CopyOut(buffer, strings.data(), static_cast<uint32_t>(strings.size())) != 0)
    return WasiError(-EFAULT);
  for (size_t at = 0; at < strings.size(); at = strings.find('\0', at) + 1) {
    if (Store(pointers, buffer + static_cast<uint32_t>(at)) != 0) return WasiError(-EFAULT);
    pointers += 4;
  }
  return 0;
}

int64_t StoreSizes(std::string_view strings, uint32_t count_at, uint32_t size_at) {
  const auto count = static_cast<uint32_t>(std::ranges::count(strings, '\0'));
  const int error = Store(count_at, count) | Store(size_at, static_cast<uint32_t>(strings.size()));
  return WasiError(error);
}

int64_t ArgsGet(const uint64_t* slots) {
  return StoreStrings(ArgumentStrings(), Arg(slots, 0), Arg(slots, 1));
}
int64_t ArgsSizes(const uint64_t* slots) {
  return StoreSizes(ArgumentStrings(), Arg(slots, 0), Arg(slots, 1));
}
int64_t EnvironGet(const uint64_t* slots) {
  return StoreStrings(EnvironmentStrings(), Arg(slots, 0), Arg(slots, 1));
}
int64_t EnvironSizes(const uint64_t* slots) {
  return StoreSizes(EnvironmentStrings(), Arg(slots, 0), Arg(slots, 1));
}

constexpr uint32_t kClocks = 4;  // real time, monotonic, processor of the process, of the thread

uint64_t TimeOf(uint32_t clock) {
  if (clock == 0) return platform::ClockNs(0);
  return clock == 1 ? platform::ClockNs(1) - TheKernel().boot_ns : platform::ClockNs(2);
}

int64_t ClockResolution(const uint64_t* slots) {
  return WasiError(Arg(slots, 0) >= kClocks ? -EINVAL : Store(Arg(slots, 1), uint64_t{1}));
}
int64_t ClockTime(const uint64_t* slots) {
  return WasiError(Arg(slots, 0) >= kClocks ? -EINVAL
                                            : Store(Arg(slots, 2), TimeOf(Arg(slots, 0))));
}

int64_t Random(const uint64_t* slots) {
  uint32_t at = Arg(slots, 0);
  uint8_t part[256];
  for (uint32_t left = Arg(slots, 1); left > 0;) {
    const uint32_t count = std::min<uint32_t>(left, sizeof part);
    platform::FillRandom(part, count);
    if (CopyOut(at, part, count) != 0) return WasiError(-EFAULT);
    at += count;
    left -= count;
  }
  return 0;
}

int64_t Exit(const uint64_t* slots) {
  ExitCurrent((Arg(slots, 0) & 0xff) << 8);
}
int64_t Raise(const uint64_t* slots) {
  // WASI numbers signals as Linux does.
  if (Arg(slots, 0) > 30) return WasiError(-EINVAL);
  if (Arg(slots, 0) != 0) Post(Current(), Arg(slots, 0));
  return 0;
}
int64_t Yield(const uint64_t* /*slots*/) {
  return 0;
}

enum SubscriptionType : uint8_t { kClock, kFdRead, kFdWrite };

struct Subscription {
  uint64_t user_data;
  uint8_t type;
  uint8_t padding[7];
  // Of a clock; the descriptor lies where its number does.
  uint32_t id;
  uint32_t padding2;
  uint64_t timeout, precision;
  uint16_t flags;
  uint16_t padding3[3];
};
static_assert(sizeof(Subscription) == 48);

struct Event {
  uint64_t user_data;
  uint16_t error;
  uint8_t type;
  uint8_t padding[5];
  uint64_t bytes;
  uint16_t flags;
  uint16_t padding2[3];
};
static_assert(sizeof(Event) == 32);

uint64_t DeadlineOf(const Subscription& subscription, uint64_t now) {
  constexpr uint16_t kAbsolute = 1;
  uint64_t wait = subscription.timeout;
  if ((subscription.flags & kAbsolute) != 0) {
    const uint64_t time = TimeOf(subscription.id);
    wait = wait > time ? wait - time : 0;
  }
  return wait > UINT64_MAX / 2 ? platform::kNever : now + wait;
}

// Over the event's count, which stays as it is for a file that does not know.
void StoreReadable(uint32_t descriptor, uint32_t event) {
  OpenFile* file = FileOf(descriptor);
  const auto count_at = event + static_cast<uint32_t>(offsetof(Event, bytes));
  if (file != nullptr) (void)file->operations->control(*file, FIONREAD, count_at);
}

int64_t PollOneoff(const uint64_t* slots) {
  constexpr uint32_t kMost = 128;
  constexpr uint16_t kHangUp = 1;
  const uint32_t count = Arg(slots, 2);
  if (count == 0 || count > kMost) return WasiError(-EINVAL);
  Subscription subscriptions[kMost];
  if (CopyIn(subscriptions, Arg(slots, 0), count * sizeof subscriptions[0]) != 0)
    return WasiError(-EFAULT);
  const uint64_t now = platform::ClockNs(1);
  PollEntry polls[kMost];
  uint64_t deadline = platform::kNever;
  bool bad = false;
  for (uint32_t i = 0; i < count; ++i) {
    const Subscription& wanted = subscriptions[i];
    polls[i] = {-1, 0, 0};
    if (wanted.type > kFdWrite) return WasiError(-EINVAL);
    if (wanted.type == kClock) {
      // Nobody can wait for processor time while it stands still.
      if (wanted.id > 1) return WasiError(-EINVAL);
      deadline = std::min(deadline, DeadlineOf(wanted, now));
      continue;
    }
    polls[i] = {static_cast<int32_t>(wanted.id),
                static_cast<int16_t>(wanted.type == kFdRead ? POLLIN : POLLOUT), 0};
    bad = bad || FileOf(wanted.id) == nullptr;
  }
  const uint64_t fresh = bad ? 0 : std::max<uint64_t>(deadline, 1);
  const uint64_t until = SleepDeadline(fresh);
  const uint64_t began = now - (fresh - until);
  if (PollFiles(polls, count, until) < 0) return kRestartSleep;
  const uint64_t then = platform::ClockNs(1);
  uint32_t events = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const Subscription& wanted = subscriptions[i];
    const auto returned = static_cast<uint16_t>(polls[i].returned);
    if (wanted.type == kClock ? DeadlineOf(wanted, began) > then || bad : returned == 0) continue;
    Event event = {};
    event.user_data = wanted.user_data;
    event.type = wanted.type;
    event.error = static_cast<uint16_t>((returned & POLLNVAL) != 0 ? WasiError(-EBADF) : 0);
    event.flags = (returned & POLLHUP) != 0 ? kHangUp : 0;
    event.bytes = wanted.type == kClock ? 0 : 1;
    const uint32_t at = Arg(slots, 1) + events * static_cast<uint32_t>(sizeof event);
    if (Store(at, event) != 0) return WasiError(-EFAULT);
    if (wanted.type == kFdRead) StoreReadable(wanted.id, at);
    ++events;
  }
  return WasiError(Store(Arg(slots, 3), events));
}

constexpr CallRow kRows[] = {
    {"args_get", ArgsGet},
    {"args_sizes_get", ArgsSizes},
    {"environ_get", EnvironGet},
    {"environ_sizes_get", EnvironSizes},
    {"clock_res_get", ClockResolution},
    {"clock_time_get", ClockTime},
    {"poll_oneoff", PollOneoff},
    {"proc_exit", Exit},
    {"proc_raise", Raise},
    {"sched_yield", Yield},
    {"random_get", Random},
};

}  // namespace

CallTable WasiProcessCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
