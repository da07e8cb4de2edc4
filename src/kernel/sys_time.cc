// Clocks, sleeping, timers, randomness; and the table that all calls are found in.

#include <cerrno>
#include <csignal>
#include <iterator>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/wasi.h"

namespace cordon::kernel {
namespace {

struct GuestTime {
  int64_t seconds;
  int32_t nanoseconds;
  int32_t padding;
};
constexpr uint64_t kSecond = 1'000'000'000;

GuestTime FromNs(uint64_t ns) {
  return {static_cast<int64_t>(ns / kSecond), static_cast<int32_t>(ns % kSecond), 0};
}

// Host clocks that say nothing about the host but the time; monotonic ones begin with the sandbox.
// clock_getcpuclockid(3): the complement of a number and, in the low bits, whose. One's own.
bool IsOwnProcessorClock(uint32_t clock) {
  constexpr uint32_t kKind = 7;
  constexpr uint32_t kOfThread = 4;
  constexpr uint32_t kScheduled = 2;
  if ((clock & 3) != kScheduled || static_cast<int32_t>(clock) >= 0) return false;
  const uint32_t number = ~static_cast<uint32_t>(static_cast<int32_t>(clock & ~kKind) >> 3);
  const uint32_t own = (clock & kOfThread) != 0 ? CurrentThread().tid : Current().pid;
  return number == 0 || number == own;
}

int64_t SysClockGettime(const uint64_t* slots) {
  if (IsOwnProcessorClock(Arg(slots, 0))) {
    return Store(Arg(slots, 1), FromNs(platform::ClockNs(2)));
  }
  switch (Arg(slots, 0)) {
    case 0:
    case 5:
      return Store(Arg(slots, 1), FromNs(platform::ClockNs(0)));
    case 1:
    case 4:
    case 6:
    case 7:
      return Store(Arg(slots, 1), FromNs(platform::ClockNs(1) - TheKernel().boot_ns));
    case 2:
    case 3:
      return Store(Arg(slots, 1), FromNs(platform::ClockNs(2)));
    default:
      return -EINVAL;
  }
}

// Of the host, whose clocks they are.
int64_t SysClockSettime(const uint64_t* slots) {
  return Arg(slots, 0) > 7 ? -EINVAL : -EPERM;
}

int64_t SysClockGetres(const uint64_t* slots) {
  if (Arg(slots, 0) > 7) return -EINVAL;
  return Arg(slots, 1) == 0 ? 0 : Store(Arg(slots, 1), FromNs(1));
}

int64_t SysClockNanosleep(const uint64_t* slots) {
  constexpr uint32_t kAbsolute = 1;
  GuestTime wanted;
  if (Load(&wanted, Arg(slots, 2)) != 0) return -EFAULT;
  if (Arg(slots, 0) > 1) return -EINVAL;
  if (wanted.seconds < 0 || wanted.nanoseconds < 0 ||
      wanted.nanoseconds >= static_cast<int32_t>(kSecond))
    return -EINVAL;
  const uint64_t now = platform::ClockNs(1);
  uint64_t deadline = platform::kNever;
  if (wanted.seconds < INT32_MAX) {
    const uint64_t ns =
        static_cast<uint64_t>(wanted.seconds) * kSecond + static_cast<uint64_t>(wanted.nanoseconds);
    if ((Arg(slots, 1) & kAbsolute) == 0) {
      deadline = now + ns;
    } else if (Arg(slots, 0) == 1) {
      deadline = TheKernel().boot_ns + ns;
    } else {
      const uint64_t real = platform::ClockNs(0);
      deadline = ns > real ? now + (ns - real) : now;
    }
  }
  deadline = SleepDeadline(deadline);
  Sleeper& sleeper = CurrentThread().sleeper;
  for (;;) {
    const uint32_t seen = sleeper.word.load();
    const Wake wake = sleeper.SleepFrom(seen, deadline);
    if (wake == Wake::kTimedOut) return 0;
    if (wake == Wake::kWoken) continue;
    const uint64_t later = platform::ClockNs(1);
    if (Arg(slots, 3) != 0 && (Arg(slots, 1) & kAbsolute) == 0) {
      if (Store(Arg(slots, 3), FromNs(deadline > later ? deadline - later : 0)) != 0)
        return -EFAULT;
    }
    return kRestartSleep;
  }
}

struct GuestTimer {
  int32_t interval[2];  // seconds, microseconds
  int32_t value[2];
};

GuestTimer TimerOf(uint64_t left_ns, uint64_t interval_ns) {
  const auto pair = [](uint64_t ns, int32_t out[2]) {
    out[0] = static_cast<int32_t>(ns / kSecond);
    out[1] = static_cast<int32_t>(ns % kSecond / 1000);
  };
  GuestTimer timer;
  pair(interval_ns, timer.interval);
  pair(left_ns, timer.value);
  return timer;
}

enum TimerKind : uint32_t { kRealTimer, kVirtualTimer, kProfileTimer, kTimerKinds };

ProcessorTimerKind ProcessorKind(uint32_t which) {
  return which == kVirtualTimer ? ProcessorTimerKind::kVirtual : ProcessorTimerKind::kProfile;
}

// Under table_lock.
GuestTimer CurrentTimer(uint32_t which) {
  const Process& process = Current();
  if (which != kRealTimer) {
    const ProcessorTimerKind kind = ProcessorKind(which);
    return TimerOf(TimeLeft(process, kind),
                   process.processor_timers[static_cast<uint32_t>(kind)].interval_ns);
  }
  const uint64_t now = platform::ClockNs(1);
  const uint64_t left = process.alarm_ns > now  ? process.alarm_ns - now
                        : process.alarm_ns != 0 ? 1000
                                                : 0;
  return TimerOf(left, process.alarm_interval_ns);
}

int64_t SysGetitimer(const uint64_t* slots) {
  if (Arg(slots, 0) >= kTimerKinds) return -EINVAL;
  GuestTimer timer;
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    timer = CurrentTimer(Arg(slots, 0));
  }
  return Store(Arg(slots, 1), timer);
}

// The service process sends the signal when the time has come.
int64_t SysSetitimer(const uint64_t* slots) {
  GuestTimer wanted = {};
  GuestTimer old = {};
  const uint32_t which = Arg(slots, 0);
  if (which >= kTimerKinds) return -EINVAL;
  if (Arg(slots, 1) != 0 && Load(&wanted, Arg(slots, 1)) != 0) return -EFAULT;
  const auto ns = [](const int32_t pair[2]) {
    return static_cast<uint64_t>(pair[0]) * kSecond + static_cast<uint64_t>(pair[1]) * 1000;
  };
  const uint64_t value = ns(wanted.value);
  const uint64_t interval = ns(wanted.interval);
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    Process& process = Current();
    old = CurrentTimer(which);
    if (which == kRealTimer) {
      process.alarm_interval_ns = interval;
      process.alarm_ns = value == 0 ? 0 : platform::ClockNs(1) + value;
    } else {
      SetProcessorTimer(process, ProcessorKind(which), value, interval);
    }
  }
  control::Control& control = *TheKernel().control;
  control.service_bell.fetch_add(1);
  platform::WakeWord(&control.service_bell, 1);
  return Arg(slots, 2) == 0 ? 0 : Store(Arg(slots, 2), old);
}

int64_t SysGetrandom(const uint64_t* slots) {
  uint8_t part[256];
  for (uint32_t done = 0; done < Arg(slots, 1);) {
    const uint32_t count = Arg(slots, 1) - done < sizeof part ? Arg(slots, 1) - done : sizeof part;
    platform::FillRandom(part, count);
    if (CopyOut(Arg(slots, 0) + done, part, count) != 0) return -EFAULT;
    done += count;
  }
  return Arg(slots, 1);
}

int64_t SysTimes(const uint64_t* slots) {
  constexpr uint64_t kTick = kSecond / 100;
  const int32_t out[4] = {static_cast<int32_t>(platform::ClockNs(2) / kTick), 0,
                          static_cast<int32_t>(Current().children_cpu_ns / kTick), 0};
  if (Arg(slots, 0) != 0 && Store(Arg(slots, 0), out) != 0) return -EFAULT;
  return static_cast<int64_t>((platform::ClockNs(1) - TheKernel().boot_ns) / kTick);
}

constexpr CallRow kRows[] = {
    {"clock_gettime64", SysClockGettime},
    {"clock_settime", SysClockSettime},
    {"clock_settime64", SysClockSettime},
    {"clock_getres_time64", SysClockGetres},
    {"clock_nanosleep_time64", SysClockNanosleep},
    {"getitimer", SysGetitimer},
    {"setitimer", SysSetitimer},
    {"getrandom", SysGetrandom},
    {"times", SysTimes},
};

// In the table of the module but not built: programs see ENOSYS, as on a Linux without the call.
int64_t SysMissing(const uint64_t* /*slots*/) {
  return -ENOSYS;
}

// Inherited by clones.
std::string_view added_module;
CallTable added_calls = {nullptr, 0};

struct Declared {
  std::string_view name;
  size_t parameters;
};
constexpr Declared kDeclared[] = {
#define SYSCALL(number, name, parameters, arguments, notes) {#name, parameters},
#include "kernel/syscalls.def"
#undef SYSCALL
};

// By name, for the loader: a program imports some eighty calls at each start. Filled at boot.
struct KnownCall {
  const Declared* declared;
  CallHandler handler;
};
constexpr uint32_t kKnownCalls = 512;
static_assert(std::size(kDeclared) * 2 <= kKnownCalls);
KnownCall known_calls[kKnownCalls];

// FNV-1a.
uint32_t HashOf(std::string_view name) {
  uint32_t hash = 2166136261;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619;
  return hash;
}

CallHandler HandlerOf(std::string_view name) {
  for (const CallTable& table :
       {FileCalls(), PollCalls(), PathCalls(), ProcessCalls(), SchedulerCalls(), SystemCalls(),
        TimeCalls(), SocketCalls(), EventCalls(), StatCalls(), FutexCalls(), ThreadCalls()}) {
    for (size_t i = 0; i < table.count; ++i) {
      if (table.rows[i].name == name) return table.rows[i].handler;
    }
  }
  return SysMissing;
}

// Without a handler: there is no such call.
const KnownCall& Find(std::string_view name) {
  for (uint32_t at = HashOf(name);; ++at) {
    const KnownCall& known = known_calls[at % kKnownCalls];
    if (known.handler == nullptr || known.declared->name == name) return known;
  }
}

}  // namespace

void PrepareCalls() {
  for (const Declared& declared : kDeclared) {
    uint32_t at = HashOf(declared.name);
    while (known_calls[at % kKnownCalls].handler != nullptr) ++at;
    known_calls[at % kKnownCalls] = {&declared, HandlerOf(declared.name)};
  }
}

void AddModule(std::string_view module, const CallTable& table) {
  added_module = module;
  added_calls = table;
}

CallTable TimeCalls() {
  return {kRows, std::size(kRows)};
}

CallHandler CallNamed(std::string_view name) {
  return Find(name).handler;
}

ImportMatch FindCall(std::string_view module, std::string_view name, const FunctionType& type,
                     CallHandler* handler) {
  for (size_t i = 0; i < added_calls.count && module == added_module; ++i) {
    if (added_calls.rows[i].name != name) continue;
    *handler = added_calls.rows[i].handler;
    return ImportMatch::kMatches;
  }
  if (module == kWasiModule) return FindWasiCall(name, type, handler);
  if (module != "cordon") return ImportMatch::kUnknown;
  const KnownCall& known = Find(name);
  if (known.handler == nullptr) return ImportMatch::kUnknown;
  if (!IsCordonType(known.declared->parameters, type)) return ImportMatch::kOtherType;
  *handler = known.handler;
  return ImportMatch::kMatches;
}

}  // namespace cordon::kernel
