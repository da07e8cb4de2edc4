#include "arena/wait.h"

#include "arena/platform.h"

namespace cordon {

void Sleeper::Notify() {
  word.fetch_add(1, std::memory_order_seq_cst);
  platform::WakeWord(&word, 1);
}

Wake Sleeper::SleepFrom(uint32_t seen, uint64_t deadline_ns) {
  for (;;) {
    if (attention.load(std::memory_order_seq_cst) != 0) return Wake::kInterrupted;
    if (word.load(std::memory_order_seq_cst) != seen) return Wake::kWoken;
    if (deadline_ns != platform::kNever && platform::ClockNs(1) >= deadline_ns)
      return Wake::kTimedOut;
    // Who raises `attention` also notifies, so the word has changed by then and this returns at
    // once.
    platform::WaitOnWord(&word, seen, deadline_ns);
  }
}

void WaitQueue::Add(Waiter& waiter) {
  const MutexLock lock(lock_, rank_);
  waiter.next = nullptr;
  waiter.previous = tail_;
  if (tail_ == nullptr) {
    head_.store(&waiter, std::memory_order_seq_cst);
  } else {
    tail_->next = &waiter;
  }
  tail_ = &waiter;
}

void WaitQueue::Remove(Waiter& waiter) {
  const MutexLock lock(lock_, rank_);
  if (waiter.previous == nullptr) {
    head_.store(waiter.next, std::memory_order_seq_cst);
  } else {
    waiter.previous->next = waiter.next;
  }
  if (waiter.next == nullptr) {
    tail_ = waiter.previous;
  } else {
    waiter.next->previous = waiter.previous;
  }
  waiter.next = waiter.previous = nullptr;
}

void WaitQueue::Wake(Waiter& waiter) {
  if (waiter.wake != nullptr) {
    waiter.wake(waiter);
  } else {
    waiter.sleeper->Notify();
  }
}

void WaitQueue::WakeAll() {
  if (empty()) return;
  const MutexLock lock(lock_, rank_);
  for (Waiter* waiter = head_.load(std::memory_order_relaxed); waiter != nullptr;
       waiter = waiter->next) {
    Wake(*waiter);
  }
}

void WaitQueue::WakeOne() {
  if (empty()) return;
  const MutexLock lock(lock_, rank_);
  if (Waiter* waiter = head_.load(std::memory_order_relaxed)) Wake(*waiter);
}

}  // namespace cordon
