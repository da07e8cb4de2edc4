#include "arena/lock.h"

#include "arena/platform.h"

namespace cordon {
namespace {

// Long enough for the short sections that the kernel has, short enough not to waste a core when the
// holder sleeps.
constexpr int kSpins = 100;

enum State : uint32_t { kFree = 0, kHeld = 1, kContended = 2 };

#ifndef NDEBUG
void NoteLock(const void* lock, LockRank rank) {
  ThreadBlock& block = CurrentThreadBlock();
  if (block.held_count > 0) {
    const ThreadBlock::Held& last = block.held[block.held_count - 1];
    const auto last_rank = static_cast<LockRank>(last.rank);
    const bool ordered = rank > last_rank || (rank == last_rank && lock > last.lock);
    if (!ordered || block.held_count == ThreadBlock::kMaxHeldLocks) __builtin_trap();
  }
  block.held[block.held_count++] = {lock, static_cast<uint8_t>(rank)};
}

void NoteUnlock(const void* lock) {
  ThreadBlock& block = CurrentThreadBlock();
  for (uint32_t i = block.held_count; i-- > 0;) {
    if (block.held[i].lock != lock) continue;
    for (uint32_t j = i; j + 1 < block.held_count; ++j) block.held[j] = block.held[j + 1];
    --block.held_count;
    return;
  }
  __builtin_trap();
}
#else
void NoteLock(const void* /*mutex*/, LockRank /*rank*/) {}
void NoteUnlock(const void* /*mutex*/) {}
#endif

}  // namespace

ThreadBlock& CurrentThreadBlock() {
  // Of code on a foreign stack. Private memory: a clone starts with its parent's.
  static ThreadBlock foreign;
  std::byte* own = OwnThreadBlock();
  return own == nullptr ? foreign : *reinterpret_cast<ThreadBlock*>(own);
}

bool Mutex::TryLock(LockRank rank) {
  uint32_t expected = kFree;
  if (!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) return false;
  owner_.store(CurrentSlot(), std::memory_order_relaxed);
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
  owner_.store(CurrentSlot(), std::memory_order_relaxed);
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
