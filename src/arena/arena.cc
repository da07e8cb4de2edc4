#include "arena/arena.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "arena/layout.h"
#include "arena/platform.h"

namespace cordon {
namespace {

constexpr size_t kSmallest = 16;
// Freed runs from this size on go back to the host; smaller ones are cleared when they are handed
// out again.
constexpr size_t kReturnBytes = 256 * 1024;

size_t RoundToPages(size_t bytes) {
  return (bytes + layout::kPageBytes - 1) / layout::kPageBytes * layout::kPageBytes;
}

}  // namespace

Arena* Arena::Create(void* address, uint64_t bytes) {
  const uint64_t own = RoundToPages(sizeof(Arena));
  if (bytes < own) return nullptr;
  auto* arena = new (address) Arena();
  arena->size_ = bytes;
  arena->next_.store(own, std::memory_order_relaxed);
  return arena;
}

uint32_t Arena::ClassOf(size_t bytes) {
  if (bytes <= kSmallest) return 0;
  const auto bits = static_cast<uint32_t>(std::bit_width(bytes - 1));
  // 2^10 is the last small class, 2^12 (a page) the first large one; 2^11 shares the page's.
  return bits <= 10 ? bits - 4 : std::max<uint32_t>(bits, 12) - 12 + kSmallClasses;
}

size_t Arena::ClassBytes(uint32_t size_class) {
  return size_class < kSmallClasses ? kSmallest << size_class
                                    : layout::kPageBytes << (size_class - kSmallClasses);
}

void* Arena::Extend(size_t bytes) {
  uint64_t offset = next_.load(std::memory_order_relaxed);
  do {
    if (bytes > size_ - offset) return nullptr;
  } while (!next_.compare_exchange_weak(offset, offset + bytes, std::memory_order_relaxed));
  return reinterpret_cast<std::byte*>(this) + offset;
}

bool Arena::Refill(uint32_t size_class) {
  auto* page = static_cast<std::byte*>(Extend(layout::kPageBytes));
  if (page == nullptr) return false;
  SizeClass& own = classes_[size_class];
  const size_t bytes = ClassBytes(size_class);
  for (size_t offset = layout::kPageBytes; offset > 0;) {
    offset -= bytes;
    auto* node = reinterpret_cast<FreeNode*>(page + offset);
    node->next = own.free;
    own.free = node;
    ++own.free_count;
  }
  return true;
}

void* Arena::Allocate(size_t bytes) {
  void* memory = AllocateBuffer(bytes);
  const size_t class_bytes = ClassBytes(ClassOf(bytes));
  // A run that was returned reads as zeros but for its list node.
  if (memory != nullptr)
    memset(memory, 0, class_bytes >= kReturnBytes ? sizeof(FreeNode) : class_bytes);
  return memory;
}

void* Arena::AllocateBuffer(size_t bytes) {
  const uint32_t size_class = ClassOf(bytes);
  if (size_class >= kClasses) return nullptr;
  SizeClass& own = classes_[size_class];
  const size_t class_bytes = ClassBytes(size_class);
  FreeNode* node = nullptr;
  {
    const MutexLock lock(own.lock, LockRank::kAllocator);
    if (own.free == nullptr && size_class < kSmallClasses && !Refill(size_class)) return nullptr;
    node = own.free;
    if (node != nullptr) {
      own.free = node->next;
      --own.free_count;
    }
  }
  void* memory = node != nullptr ? node : Extend(class_bytes);
  if (memory != nullptr) used_bytes_.fetch_add(class_bytes, std::memory_order_relaxed);
  return memory;
}

void Arena::Free(void* pointer, size_t bytes) {
  if (pointer == nullptr) return;
  const uint32_t size_class = ClassOf(bytes);
  const size_t class_bytes = ClassBytes(size_class);
  if (class_bytes >= kReturnBytes) {
    platform::DiscardShared(reinterpret_cast<uint64_t>(pointer), class_bytes);
  }
  SizeClass& own = classes_[size_class];
  auto* node = static_cast<FreeNode*>(pointer);
  {
    const MutexLock lock(own.lock, LockRank::kAllocator);
    node->next = own.free;
    own.free = node;
    ++own.free_count;
  }
  used_bytes_.fetch_sub(class_bytes, std::memory_order_relaxed);
}

bool Arena::Owns(const void* pointer) const {
  const auto begin = reinterpret_cast<uint64_t>(this);
  const auto address = reinterpret_cast<uint64_t>(pointer);
  return address >= begin + RoundToPages(sizeof(Arena)) &&
         address < begin + next_.load(std::memory_order_relaxed);
}

bool Arena::Check() const {
  for (uint32_t i = 0; i < kClasses; ++i) {
    uint64_t count = 0;
    for (const FreeNode* node = classes_[i].free; node != nullptr; node = node->next) {
      const auto offset = reinterpret_cast<uint64_t>(node) - reinterpret_cast<uint64_t>(this);
      const size_t unit = std::min<size_t>(ClassBytes(i), layout::kPageBytes);
      if (!Owns(node) || offset % unit != 0 || ++count > classes_[i].free_count) return false;
    }
    if (count != classes_[i].free_count || classes_[i].lock.held()) return false;
  }
  return true;
}

}  // namespace cordon
