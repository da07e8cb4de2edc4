#ifndef CORDON_ARENA_WAIT_H_
#define CORDON_ARENA_WAIT_H_

// The one way to block. An object that can become ready owns a WaitQueue; a thread that waits owns
// a wake word in shared memory and puts one Waiter on each queue that it is interested in (poll is
// the same thing on several).
//
//   Waiter waiter(sleeper);
//   queue.Add(waiter);
//   while (!ready()) {
//     if (sleeper.Sleep(deadline_ns) != Wake::kWoken) break;   // time-out, signal or mark
//   }
//   queue.Remove(waiter);
//
// Waiters live in the arena: on a kernel stack they would be private memory of one process.

#include <atomic>
#include <cstdint>

#include "arena/lock.h"

namespace cordon {

enum class Wake { kWoken, kTimedOut, kInterrupted };

// One for each thread slot, in the arena.
struct Sleeper {
  std::atomic<uint32_t> word{0};       // changes with each wake-up
  std::atomic<uint32_t> attention{0};  // nonzero: a signal, a stop or a mark waits; Sleep returns
                                       // kInterrupted. Also the word that compiled loops poll.

  // Bumps the word and wakes the thread. Safe from any process of the sandbox.
  void Notify();
  // Call with a word read before the condition was tested.
  Wake SleepFrom(uint32_t seen, uint64_t deadline_ns);
};

struct Waiter {
  Waiter* next = nullptr;
  Waiter* previous = nullptr;
  Sleeper* sleeper = nullptr;
  // Instead of waking a sleeper: called under the queue's lock, so it may wake watch queues only.
  void (*wake)(Waiter& waiter) = nullptr;
};

class WaitQueue {
 public:
  WaitQueue() = default;
  explicit WaitQueue(LockRank rank) : rank_(rank) {}
  void Add(Waiter& waiter);
  void Remove(Waiter& waiter);
  void WakeAll();
  // Wakes at most one, the longest waiting.
  void WakeOne();
  [[nodiscard]] bool empty() const { return head_.load(std::memory_order_seq_cst) == nullptr; }

 private:
  static void Wake(Waiter& waiter);

  Mutex lock_;
  std::atomic<Waiter*> head_{nullptr};
  Waiter* tail_ = nullptr;
  LockRank rank_ = LockRank::kWaitQueue;
};

}  // namespace cordon

#endif  // CORDON_ARENA_WAIT_H_
