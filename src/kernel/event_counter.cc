// Counters as descriptors: eventfd(2).

#include <fcntl.h>
#include <poll.h>

#include <cerrno>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/open_file.h"

namespace cordon::kernel {
namespace {

constexpr uint64_t kMost = UINT64_MAX - 1;

struct EventCounter {
  Mutex lock;
  uint64_t value = 0;
  bool is_semaphore = false;
  WaitQueue changed;
};

EventCounter& CounterOf(const OpenFile& file) {
  return *static_cast<EventCounter*>(file.object);
}

bool IsPositive(void* argument) {
  auto& counter = *static_cast<EventCounter*>(argument);
  const MutexLock lock(counter.lock, LockRank::kInode);
  return counter.value > 0;
}

struct Addition {
  EventCounter* counter;
  uint64_t value;
};
bool Fits(void* argument) {
  const auto& wanted = *static_cast<Addition*>(argument);
  const MutexLock lock(wanted.counter->lock, LockRank::kInode);
  return kMost - wanted.counter->value >= wanted.value;
}

// The count, or 1 of a semaphore; 0 if there is none.
uint64_t Take(EventCounter& counter) {
  const MutexLock lock(counter.lock, LockRank::kInode);
  const uint64_t taken = counter.is_semaphore && counter.value > 0 ? 1 : counter.value;
  counter.value -= taken;
  return taken;
}

bool Add(const Addition& wanted) {
  EventCounter& counter = *wanted.counter;
  const MutexLock lock(counter.lock, LockRank::kInode);
  if (kMost - counter.value < wanted.value) return false;
  counter.value += wanted.value;
  return true;
}

int64_t ReadCounter(OpenFile& file, void* to, uint64_t size) {
  EventCounter& counter = CounterOf(file);
  if (size < sizeof(uint64_t)) return -EINVAL;
  for (;;) {
    const uint64_t taken = Take(counter);
    if (taken > 0) {
      counter.changed.WakeAll();
      return cordon_copy(to, &taken, sizeof taken) != 0 ? -EFAULT : int64_t{sizeof taken};
    }
    if (!file.blocks()) return -EAGAIN;
    const int32_t waited = WaitUntil(counter.changed, IsPositive, &counter, platform::kNever);
    if (waited != 0) return waited;
  }
}

int64_t WriteCounter(OpenFile& file, const void* from, uint64_t size) {
  Addition wanted = {&CounterOf(file), 0};
  if (size < sizeof wanted.value) return -EINVAL;
  if (cordon_copy(&wanted.value, from, sizeof wanted.value) != 0) return -EFAULT;
  if (wanted.value > kMost) return -EINVAL;
  while (!Add(wanted)) {
    if (!file.blocks()) return -EAGAIN;
    const int32_t waited = WaitUntil(wanted.counter->changed, Fits, &wanted, platform::kNever);
    if (waited != 0) return waited;
  }
  wanted.counter->changed.WakeAll();
  return sizeof wanted.value;
}

uint32_t PollCounter(OpenFile& file) {
  EventCounter& counter = CounterOf(file);
  const MutexLock lock(counter.lock, LockRank::kInode);
  return (counter.value > 0 ? POLLIN | POLLRDNORM : 0) |
         (counter.value < kMost ? POLLOUT | POLLWRNORM : 0);
}

void CounterQueues(OpenFile& file, WaitQueue* out[2]) {
  out[0] = &CounterOf(file).changed;
  out[1] = nullptr;
}

void CloseCounter(OpenFile& file) {
  TheKernel().arena->Delete(&CounterOf(file));
}

int32_t CounterControl(OpenFile& /*file*/, uint32_t /*request*/, uint32_t /*argument*/) {
  return -ENOTTY;
}

constexpr Operations kCounterOperations = {ReadCounter,   WriteCounter, PollCounter,
                                           CounterQueues, CloseCounter, CounterControl,
                                           "eventfd",     nullptr,      kAnonymousMode};

}  // namespace

OpenFile* OpenEventCounter(uint64_t value, CounterKind kind, uint32_t flags) {
  auto* counter = TheKernel().arena->New<EventCounter>();
  if (counter == nullptr) return nullptr;
  counter->value = value;
  counter->is_semaphore = kind == CounterKind::kSemaphore;
  OpenFile* file = NewOpenFile(&kCounterOperations, O_RDWR | flags, counter);
  if (file == nullptr) TheKernel().arena->Delete(counter);
  return file;
}

}  // namespace cordon::kernel
