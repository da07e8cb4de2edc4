#ifndef CORDON_ARENA_LOCK_H_
#define CORDON_ARENA_LOCK_H_

// Locks in shared memory. No pthread primitive works here: after a raw clone the C library's cached
// thread identifier is the parent's, so a process-shared mutex held by the parent would be granted
// to the child.
//
// Order, checked in debug builds: rename < directory < inode < memory map < descriptor table <
// process table < futex < wait queue < watch queue < allocator. Two of one rank: by address.

#include <atomic>
#include <cstdint>

#include "arena/thread_block.h"

namespace cordon {

enum class LockRank : uint8_t {
  kRename = 1,
  kDirectory,
  kInode,
  kMemoryMap,  // private to a process, as is kFutex
  kDescriptorTable,
  kProcessTable,
  kFutex,
  kWaitQueue,
  kWatchQueue,  // is woken by another queue
  kAllocator,
};

// A futex mutex: 0 free, 1 held, 2 held and somebody waits. Zero-initialised memory is a free
// mutex.
class Mutex {
 public:
  void Lock(LockRank rank);
  [[nodiscard]] bool TryLock(LockRank rank);
  void Unlock();
  // Slot of the holder; meaningful only to the holder itself and to the invariant checks.
  [[nodiscard]] uint32_t owner() const { return owner_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool held() const { return state_.load(std::memory_order_relaxed) != 0; }

 private:
  std::atomic<uint32_t> state_{0};
  std::atomic<uint32_t> owner_{0};
};

class MutexLock {
 public:
  MutexLock(Mutex& mutex, LockRank rank) : mutex_(mutex) { mutex_.Lock(rank); }
  ~MutexLock() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Many readers or one writer; who waits to write keeps later readers out. Zero-initialised memory
// is a free lock.
class RwLock {
 public:
  void LockShared(LockRank rank);
  void UnlockShared();
  void Lock(LockRank rank);
  void Unlock();
  [[nodiscard]] bool held() const { return state_.load(std::memory_order_relaxed) != 0; }

 private:
  void Wait(uint32_t seen);

  std::atomic<uint32_t> state_{0};  // count of readers, and two flags above it
};

class SharedLock {
 public:
  SharedLock(RwLock& lock, LockRank rank) : lock_(lock) { lock_.LockShared(rank); }
  ~SharedLock() { lock_.UnlockShared(); }
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;

 private:
  RwLock& lock_;
};

class ExclusiveLock {
 public:
  ExclusiveLock(RwLock& lock, LockRank rank) : lock_(lock) { lock_.Lock(rank); }
  ~ExclusiveLock() { lock_.Unlock(); }
  ExclusiveLock(const ExclusiveLock&) = delete;
  ExclusiveLock& operator=(const ExclusiveLock&) = delete;

 private:
  RwLock& lock_;
};

}  // namespace cordon

#endif  // CORDON_ARENA_LOCK_H_
