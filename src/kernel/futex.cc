#include "kernel/futex.h"

#include <linux/futex.h>

#include <cerrno>
#include <new>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/process.h"
#include "kernel/syscall.h"

namespace cordon::kernel {
namespace {

// Private memory of the process. One lock for all words: what is done under it is short.
constexpr uint32_t kBuckets = 64;
Mutex lock;
struct Queue {
  Thread* first;
  Thread* last;
};
Queue queues[kBuckets];

Queue& QueueOf(uint32_t address) {
  return queues[address / 4 * 2654435761u >> 26];
}
static_assert(kBuckets == 1u << (32 - 26));

void Append(Thread& thread) {
  Queue& queue = QueueOf(thread.futex);
  thread.next_waiting = nullptr;
  (queue.first == nullptr ? queue.first : queue.last->next_waiting) = &thread;
  queue.last = &thread;
}

// Takes up to `count` threads that wait for the word out of its queue, in order.
template <typename Visit>
uint32_t Take(uint32_t address, uint32_t count, Visit visit) {
  Queue& queue = QueueOf(address);
  uint32_t taken = 0;
  Thread* previous = nullptr;
  for (Thread* thread = queue.first; thread != nullptr && taken < count;) {
    Thread* next = thread->next_waiting;
    if (thread->futex != address) {
      previous = thread;
    } else {
      (previous == nullptr ? queue.first : previous->next_waiting) = next;
      if (queue.last == thread) queue.last = previous;
      ++taken;
      visit(*thread);
    }
    thread = next;
  }
  return taken;
}

void WakeUp(Thread& thread) {
  thread.waits_for_futex.store(false);
  thread.sleeper.Notify();
}

void Remove(Thread& self) {
  Queue& queue = QueueOf(self.futex);
  Thread* previous = nullptr;
  Thread* thread = queue.first;
  for (; thread != &self; thread = thread->next_waiting) previous = thread;
  (previous == nullptr ? queue.first : previous->next_waiting) = self.next_waiting;
  if (queue.last == &self) queue.last = previous;
  self.waits_for_futex.store(false);
}

template <typename Word>
int32_t WaitForWord(uint32_t address, Word expected, uint64_t deadline_ns) {
  Thread& self = CurrentThread();
  if (address % sizeof(Word) != 0) return -EINVAL;
  {
    const MutexLock locked(lock, LockRank::kFutex);
    Word value = 0;
    if (Load(&value, address) != 0) return -EFAULT;
    if (value != expected) return -EAGAIN;
    self.futex = address;
    self.waits_for_futex.store(true);
    Append(self);
  }
  for (auto wake = cordon::Wake::kWoken;;) {
    const uint32_t seen = self.sleeper.word.load();
    if (!self.waits_for_futex.load() || wake != cordon::Wake::kWoken) {
      // Whoever wakes it touches it until the lock is free: it must not be gone by then.
      const MutexLock locked(lock, LockRank::kFutex);
      if (!self.waits_for_futex.load()) return 0;
      Remove(self);
      return wake == cordon::Wake::kTimedOut ? -ETIMEDOUT : kRestart;
    }
    wake = self.sleeper.SleepFrom(seen, deadline_ns);
  }
}

}  // namespace

int32_t WaitForFutex(uint32_t address, uint32_t expected, uint64_t deadline_ns) {
  return WaitForWord(address, expected, deadline_ns);
}
int32_t WaitForWideFutex(uint32_t address, uint64_t expected, uint64_t deadline_ns) {
  return WaitForWord(address, expected, deadline_ns);
}

uint32_t WakeFutex(uint32_t address, uint32_t count) {
  const MutexLock locked(lock, LockRank::kFutex);
  return Take(address, count, [](Thread& thread) { WakeUp(thread); });
}

uint32_t RequeueFutex(uint32_t address, uint32_t count, uint32_t moved, uint32_t target) {
  const MutexLock locked(lock, LockRank::kFutex);
  const uint32_t woken = Take(address, count, [](Thread& thread) { WakeUp(thread); });
  if (address == target) return woken;
  // Taken first: both words may have one queue.
  Thread* first = nullptr;
  Thread** end = &first;
  const uint32_t taken = Take(address, moved, [&end](Thread& thread) {
    thread.next_waiting = nullptr;
    *end = &thread;
    end = &thread.next_waiting;
  });
  while (first != nullptr) {
    Thread* thread = first;
    first = thread->next_waiting;
    thread->futex = target;
    Append(*thread);
  }
  return woken + taken;
}

void ForgetFutexWaiters() {
  new (&lock) Mutex;
  for (Queue& queue : queues) queue = {};
  CurrentThread().waits_for_futex.store(false);
}

namespace {

struct GuestTime {
  int64_t seconds;
  int32_t nanoseconds, padding;
};

int64_t Wait(const uint64_t* slots) {
  uint64_t deadline = platform::kNever;
  if (Arg(slots, 3) != 0) {
    GuestTime wait;
    if (Load(&wait, Arg(slots, 3)) != 0) return -EFAULT;
    if (wait.seconds < 0 || wait.nanoseconds < 0 || wait.nanoseconds >= 1'000'000'000)
      return -EINVAL;
    if (wait.seconds < INT32_MAX) {
      deadline = platform::ClockNs(1) + static_cast<uint64_t>(wait.seconds) * 1'000'000'000 +
                 static_cast<uint64_t>(wait.nanoseconds);
    }
  }
  const bool timed = deadline != platform::kNever;
  if (timed) deadline = SleepDeadline(deadline);
  const int32_t result = WaitForFutex(Arg(slots, 0), Arg(slots, 2), deadline);
  // As on Linux, a wait with a time goes on only if no handler ran.
  return result == kRestart && timed ? kRestartSleep : result;
}

int64_t SysFutex(const uint64_t* slots) {
  const uint32_t address = Arg(slots, 0);
  const int32_t count = SignedArg(slots, 2);
  switch (Arg(slots, 1) & ~uint32_t{FUTEX_PRIVATE_FLAG}) {
    case FUTEX_WAIT:
      return Wait(slots);
    case FUTEX_WAKE:
      return count <= 0 ? 0 : WakeFutex(address, static_cast<uint32_t>(count));
    case FUTEX_REQUEUE:
      if (count < 0 || SignedArg(slots, 3) < 0 || Arg(slots, 4) % 4 != 0) return -EINVAL;
      return RequeueFutex(address, Arg(slots, 2), Arg(slots, 3), Arg(slots, 4));
    default:
      return -ENOSYS;
  }
}

constexpr CallRow kRows[] = {{"futex_time64", SysFutex}};

}  // namespace

CallTable FutexCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
