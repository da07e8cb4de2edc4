#ifndef CORDON_ARENA_SPIN_H_
#define CORDON_ARENA_SPIN_H_

// Looking for a moment before sleeping, where what is waited for usually comes sooner than a thread
// is woken up.

#include <atomic>
#include <cstdint>

#include "arena/platform.h"
#include "base/spin_habit.h"

namespace cordon {

// The processor that this thread runs on, as it was a moment ago: whoever waits for a thread of the
// same one only keeps it from running. Linux has it in a segment's limit, for all to read.
inline uint32_t ThisProcessor() {
  constexpr uint32_t kSegment = 0x7b;
  constexpr uint32_t kProcessors = 0xfff;  // above them: the node
  uint32_t limit = 0;
  asm volatile("lsl %1, %0" : "+r"(limit) : "r"(kSegment) : "cc");
  return limit & kProcessors;
}

// Until the word is another one than was seen, and no longer than `ns`. Whether it is.
inline bool SpinUntilChanged(const std::atomic<uint32_t>& word, uint32_t seen, uint64_t ns) {
  // Asking for the time takes longer than some looks.
  constexpr int kLooks = 64;
  const uint64_t end = platform::ClockNs(1) + ns;
  do {
    for (int i = 0; i < kLooks; ++i) {
      if (word.load(std::memory_order_acquire) != seen) return true;
      __builtin_ia32_pause();
    }
  } while (platform::ClockNs(1) < end);
  return false;
}

}  // namespace cordon

#endif  // CORDON_ARENA_SPIN_H_
