#ifndef CORDON_ARENA_ARENA_H_
#define CORDON_ARENA_ARENA_H_

// The allocator of objects that all processes of a sandbox share. It lives at the start of the
// memory it manages, at layout::kObjects, and never asks the host for anything: the memfd behind it
// has its final size from the start.
//
// Sizes are given back on Free, so there are no headers. Memory is zeroed when it is handed out.
// All calls are O(1).

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "arena/lock.h"

namespace cordon {

class Arena {
 public:
  // Takes over zero-filled memory at `address`; `bytes` is its size.
  static Arena* Create(void* address, uint64_t bytes);

  // Zeroed; 16-byte aligned; from 4096 bytes on page-aligned. Null when the quota is used up.
  [[nodiscard]] void* Allocate(size_t bytes);
  // The same with whatever is in it: for buffers that are written before they are read.
  [[nodiscard]] void* AllocateBuffer(size_t bytes);
  void Free(void* pointer, size_t bytes);

  template <typename T, typename... Args>
  [[nodiscard]] T* New(Args&&... args) {
    void* memory = Allocate(sizeof(T));
    return memory == nullptr ? nullptr : new (memory) T(std::forward<Args>(args)...);
  }
  template <typename T>
  void Delete(T* object) {
    object->~T();
    Free(object, sizeof(T));
  }

  // Bytes handed out, rounded up to their classes.
  [[nodiscard]] uint64_t used_bytes() const { return used_bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool Owns(const void* pointer) const;
  // Walks every free list; false if one is damaged. Nothing may allocate meanwhile.
  [[nodiscard]] bool Check() const;

 private:
  // Classes 0-6 are 16 to 1024 bytes and come from single pages, class 7 and up are 1, 2, 4 …
  // pages.
  static constexpr uint32_t kSmallClasses = 7;
  static constexpr uint32_t kClasses = kSmallClasses + 22;
  struct FreeNode {
    FreeNode* next;
  };
  struct alignas(64) SizeClass {
    Mutex lock;
    FreeNode* free = nullptr;
    uint64_t free_count = 0;
  };

  static uint32_t ClassOf(size_t bytes);
  static size_t ClassBytes(uint32_t size_class);
  // `bytes` of never used memory, a multiple of the page size; null when there is none.
  void* Extend(size_t bytes);
  bool Refill(uint32_t size_class);

  uint64_t size_ = 0;
  std::atomic<uint64_t> next_{0};  // offset of the first page that was never used
  std::atomic<uint64_t> used_bytes_{0};
  SizeClass classes_[kClasses];
};

}  // namespace cordon

#endif  // CORDON_ARENA_ARENA_H_
