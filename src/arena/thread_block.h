#ifndef CORDON_ARENA_THREAD_BLOCK_H_
#define CORDON_ARENA_THREAD_BLOCK_H_

// Which thread runs. Raw clones share or copy the C library's thread-local storage, so the kernel
// has its own: all stacks of a thread lie in one aligned block (layout.h), and one part of
// it is the thread's private data. Code that runs on another stack (the template before it serves,
// tests) has one block for the whole process.

#include <cstdint>

#include "arena/layout.h"

namespace cordon {

// At kThreadDataOffset of a block; the kernel keeps its own data of the thread behind it.
struct ThreadBlock {
  static constexpr uint32_t kMaxHeldLocks = 16;
  struct Held {
    const void* lock;
    uint8_t rank;
  };
  uint32_t slot;  // of the control page: who holds a lock
  uint32_t held_count;
  Held held[kMaxHeldLocks];  // debug builds check the order of locks
};
inline constexpr uint64_t kKernelThreadDataOffset = 1024;
static_assert(sizeof(ThreadBlock) <= kKernelThreadDataOffset);

// The data of the running thread, or null on a foreign stack.
inline std::byte* OwnThreadBlock() {
  const auto stack = reinterpret_cast<uint64_t>(__builtin_frame_address(0));
  constexpr uint64_t kEnd =
      layout::kThreadBlocks + layout::kMaxProcessThreads * layout::kThreadBlockBytes;
  if (stack < layout::kThreadBlocks || stack >= kEnd) return nullptr;
  return reinterpret_cast<std::byte*>((stack & ~(layout::kThreadBlockBytes - 1)) +
                                      layout::kThreadDataOffset);
}

ThreadBlock& CurrentThreadBlock();
inline void SetCurrentSlot(uint32_t slot) {
  CurrentThreadBlock().slot = slot;
}
inline uint32_t CurrentSlot() {
  return CurrentThreadBlock().slot;
}

}  // namespace cordon

#endif  // CORDON_ARENA_THREAD_BLOCK_H_
