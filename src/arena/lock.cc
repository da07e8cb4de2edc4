#include "arena/lock.h"

#include "arena/platform.h"

namespace cordon {
namespace {

// Private memory of a process: a clone starts with a copy of its parent's and sets its own.
uint32_t current_slot = 0;

// Long enough for the short sections that the kernel has, short enough not to waste a core when the
// holder sleeps.
constexpr int kSpins = 100;

enum State : uint32_t { kFree = 0, kHeld = 1, kContended = 2 };

#ifndef NDEBUG
struct Held {
  const void* mutex;
  LockRank rank;
};
Held held[16];
int held_count = 0;

void NoteLock(const void* mutex, LockRank rank) {
  if (held_count > 0) {
    const Held& last = held[held_count - 1];
    const bool ordered = rank > last.rank || (rank == last.rank && mutex > last.mutex);
    if (!ordered || held_count == 16) __builtin_trap();
  }
  held[held_count++] = {mutex, rank};
}

void NoteUnlock(const void* mutex) {
  for (int i = held_count; i-- > 0;) {
    if (held[i].mutex != mutex) continue;
    for (int j = i; j + 1 < held_count; ++j) held[j] = held[j + 1];
    --held_count;
    return;
  }
  __builtin_trap();
}
#else
void NoteLock(const void* /*mutex*/, LockRank /*rank*/) {}
void NoteUnlock(const void* /*mutex*/) {}
#endif

}  // namespace

void SetCurrentSlot(uint32_t slot) {
  current_slot = slot;
}
uint32_t CurrentSlot() {
  return current_slot;
}

bool Mutex::TryLock(LockRank rank) {
  uint32_t expected = kFree;
  if (!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) return false;
  owner_.store(current_slot, std::memory_order_relaxed);
  NoteLock(this, rank);
  return true;
}

void Mutex::Lock(LockRank rank) {
  uint32_t expected = kFree;
  for (int i = 0; i < kSpins; ++i) {
    expected = kFree;
    if (state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) break;
    if (expected == kContended) break;
    __builtin_ia32_pause();
  }
  if (expected != kFree) {
    while (state_.exchange(kContended, std::memory_order_acquire) != kFree) {
      platform::WaitOnWord(&state_, kContended, platform::kNever);
    }
  }
  owner_.store(current_slot, std::memory_order_relaxed);
  NoteLock(this, rank);
}

void Mutex::Unlock() {
  NoteUnlock(this);
  if (state_.exchange(kFree, std::memory_order_release) == kContended)
    platform::WakeWord(&state_, 1);
}

namespace {
constexpr uint32_t kWriter = 1u << 31;
constexpr uint32_t kWaiting = 1u << 30;
constexpr int kEverybody = INT32_MAX;
}  // namespace

// Sleeps while the state is `seen` and announces it, so that whoever frees the lock wakes.
void RwLock::Wait(uint32_t seen) {
  if ((seen & kWaiting) == 0 &&
      !state_.compare_exchange_strong(seen, seen | kWaiting, std::memory_order_relaxed)) {
    return;
  }
  platform::WaitOnWord(&state_, seen | kWaiting, platform::kNever);
}

void RwLock::LockShared(LockRank rank) {
  for (int i = 0;; ++i) {
    uint32_t seen = state_.load(std::memory_order_relaxed);
    if ((seen & (kWriter | kWaiting)) == 0) {
      if (state_.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire)) break;
    } else if (i < kSpins) {
      __builtin_ia32_pause();
    } else {
      Wait(seen);
    }
  }
  NoteLock(this, rank);
}

void RwLock::UnlockShared() {
  NoteUnlock(this);
  uint32_t left = state_.fetch_sub(1, std::memory_order_release) - 1;
  // If a writer was quicker, its Unlock finds the flag.
  if (left == kWaiting && state_.compare_exchange_strong(left, 0, std::memory_order_relaxed))
    platform::WakeWord(&state_, kEverybody);
}

void RwLock::Lock(LockRank rank) {
  for (int i = 0;; ++i) {
    uint32_t seen = state_.load(std::memory_order_relaxed);
    if ((seen & ~kWaiting) == 0) {
      if (state_.compare_exchange_weak(seen, seen | kWriter, std::memory_order_acquire)) break;
    } else if (i < kSpins) {
      __builtin_ia32_pause();
    } else {
      Wait(seen);
    }
  }
  NoteLock(this, rank);
}

void RwLock::Unlock() {
  NoteUnlock(this);
  if ((state_.exchange(0, std::memory_order_release) & kWaiting) != 0)
    platform::WakeWord(&state_, kEverybody);
}

}  // namespace cordon
