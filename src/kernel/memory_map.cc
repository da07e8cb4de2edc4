#include "kernel/memory_map.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "arena/layout.h"
#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/process.h"

namespace cordon::kernel {
namespace {

using layout::kPageBytes;
// The last 64 KiB of the 4 GiB never exist, so that no 32-bit length or end wraps.
constexpr uint32_t kPages = 0xffff0000u / kPageBytes;
constexpr uint32_t kWordBits = 64;

// Private memory of a process: a fork copies it with everything else. Its threads change it under
// the lock; the size is also read without it, by compiled code, and only grows.
Mutex lock;
uint64_t present[(kPages + kWordBits - 1) / kWordBits];
uint32_t end_page = 0;    // beyond the highest present page
uint32_t first_free = 0;  // no page below it is free
wasm::Memory memory;

uint64_t AddressOf(uint32_t page) {
  return layout::kMemory + uint64_t{page} * kPageBytes;
}
uint32_t PageCount(uint32_t bytes) {
  return static_cast<uint32_t>((uint64_t{bytes} + kPageBytes - 1) / kPageBytes);
}
bool IsPresent(uint32_t page) {
  return (present[page / kWordBits] >> (page % kWordBits) & 1) != 0;
}

void SetPresent(uint32_t page, uint32_t count, bool value) {
  for (uint32_t i = page; i < page + count; ++i) {
    const uint64_t bit = uint64_t{1} << (i % kWordBits);
    present[i / kWordBits] = value ? present[i / kWordBits] | bit : present[i / kWordBits] & ~bit;
  }
}

uint32_t CountPresent(uint32_t page, uint32_t count) {
  uint32_t found = 0;
  for (uint32_t i = page; i < page + count; ++i) found += IsPresent(i) ? 1 : 0;
  return found;
}

platform::Access AccessOf(uint32_t protection) {
  if ((protection & PROT_WRITE) != 0) return platform::Access::kReadWrite;
  return (protection & (PROT_READ | PROT_EXEC)) != 0 ? platform::Access::kRead
                                                     : platform::Access::kNone;
}

void SetSize(uint64_t bytes) {
  std::atomic_ref(memory.size_bytes).store(bytes);
}

// Bulk operations of compiled code check against this; holes below it fault.
void UpdateSize() {
  const uint64_t bytes = uint64_t{end_page} * kPageBytes;
  SetSize(std::max(memory.size_bytes,
                   (bytes + wasm::kPageSize - 1) / wasm::kPageSize * wasm::kPageSize));
}

// `count` free pages in a row, or kPages.
uint32_t FindFree(uint32_t count) {
  while (first_free < kPages && IsPresent(first_free)) ++first_free;
  uint32_t run = 0;
  for (uint32_t page = first_free; page < kPages; ++page) {
    if (page >= end_page) return kPages - page + run >= count ? page - run : kPages;
    run = IsPresent(page) ? 0 : run + 1;
    if (run == count) return page + 1 - count;
  }
  return kPages;
}

bool Charge(uint64_t pages) {
  if (!ChargePages(pages)) return false;
  Current().committed_pages += pages;
  return true;
}

void Uncharge(uint64_t pages) {
  ReturnPages(pages);
  Current().committed_pages -= pages;
}

// Makes free pages present, zeroed.
int32_t Add(uint32_t page, uint32_t count, platform::Access access) {
  if (!Charge(count)) return -ENOMEM;
  if (!platform::Protect(AddressOf(page), uint64_t{count} * kPageBytes, access)) {
    Uncharge(count);
    return -ENOMEM;
  }
  SetPresent(page, count, true);
  end_page = std::max(end_page, page + count);
  UpdateSize();
  return 0;
}

void Drop(uint32_t page, uint32_t count) {
  const uint32_t gone = CountPresent(page, count);
  if (gone == 0) return;
  // In this order, or another thread could write to a page that is zero when it is taken again. A
  // failure leaves pages accessible that the guest gave back: no harm to anybody but itself.
  (void)platform::Protect(AddressOf(page), uint64_t{count} * kPageBytes, platform::Access::kNone);
  platform::Discard(AddressOf(page), uint64_t{count} * kPageBytes);
  SetPresent(page, count, false);
  Uncharge(gone);
  first_free = std::min(first_free, page);
  while (end_page > 0 && !IsPresent(end_page - 1)) --end_page;
}

bool InRange(uint32_t address, uint32_t length) {
  return address % kPageBytes == 0 && length > 0 &&
         uint64_t{address / kPageBytes} + PageCount(length) <= kPages;
}

}  // namespace

bool ChargePages(uint64_t pages) {
  Kernel& kernel = TheKernel();
  const uint64_t limit = kernel.control->limits.memory_bytes / kPageBytes;
  const uint64_t now = kernel.committed_pages.fetch_add(pages, std::memory_order_relaxed) + pages;
  if (now > limit) {
    kernel.committed_pages.fetch_sub(pages, std::memory_order_relaxed);
    MeetLimit(control::kLimitMemory);
    return false;
  }
  uint64_t peak = kernel.committed_peak.load(std::memory_order_relaxed);
  while (now > peak &&
         !kernel.committed_peak.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
  return true;
}

void ReturnPages(uint64_t pages) {
  TheKernel().committed_pages.fetch_sub(pages, std::memory_order_relaxed);
}

Mutex& MemoryMapLock() {
  return lock;
}

bool ChargeThreadPages(uint64_t pages) {
  const MutexLock locked(lock, LockRank::kMemoryMap);
  if (!Charge(pages)) return false;
  Current().thread_pages += pages;
  return true;
}

void ReturnThreadPages(uint64_t pages) {
  const MutexLock locked(lock, LockRank::kMemoryMap);
  Uncharge(pages);
  Current().thread_pages -= pages;
}

wasm::Memory& LinearMemory() {
  return memory;
}

bool ResetMemory(uint32_t min_pages, uint32_t max_pages, uint64_t stack_bytes) {
  const uint64_t bytes = uint64_t{min_pages} * wasm::kPageSize;
  const auto count = static_cast<uint32_t>(bytes / kPageBytes);
  Process& process = Current();
  const uint64_t old_pages = process.committed_pages;
  const uint64_t charge = count - std::min<uint64_t>(count, stack_bytes / kPageBytes);
  if (count > kPages || !ChargePages(charge)) return false;
  ReturnPages(old_pages);
  process.committed_pages = charge;
  process.thread_pages = OwnData().charged_pages = 0;
  if (end_page > 0 && !platform::MapPrivate(layout::kMemory, uint64_t{end_page} * kPageBytes,
                                            platform::Access::kNone)) {
    return false;
  }
  memset(present, 0, (end_page + 7) / 8);
  end_page = first_free = 0;
  memory = {};
  memory.base = reinterpret_cast<std::byte*>(layout::kMemory);
  memory.size_bytes = bytes;
  memory.max_bytes =
      std::min<uint64_t>(uint64_t{max_pages} * wasm::kPageSize, uint64_t{kPages} * kPageBytes);
  if (count == 0) return true;
  if (!platform::Protect(layout::kMemory, bytes, platform::Access::kReadWrite)) return false;
  SetPresent(0, count, true);
  end_page = first_free = count;
  return true;
}

int64_t MapPages(uint32_t address, uint32_t length, uint32_t protection, uint32_t flags) {
  const uint32_t count = PageCount(length);
  if (length == 0) return -EINVAL;
  if (count > kPages) return -ENOMEM;
  const MutexLock locked(lock, LockRank::kMemoryMap);
  uint32_t page = address / kPageBytes;
  if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0) {
    if (!InRange(address, length)) return -EINVAL;
    if ((flags & MAP_FIXED_NOREPLACE) != 0 && CountPresent(page, count) > 0) return -EEXIST;
    Drop(page, count);
  } else {
    page = FindFree(count);
    if (page == kPages) return -ENOMEM;
  }
  const int32_t error = Add(page, count, AccessOf(protection));
  return error != 0 ? error : static_cast<int64_t>(uint64_t{page} * kPageBytes);
}

int32_t UnmapPages(uint32_t address, uint32_t length) {
  if (!InRange(address, length)) return -EINVAL;
  const MutexLock locked(lock, LockRank::kMemoryMap);
  Drop(address / kPageBytes, PageCount(length));
  return 0;
}

int64_t RemapPages(uint32_t address, uint32_t old_length, uint32_t new_length, uint32_t flags) {
  if (!InRange(address, old_length) || !InRange(address, new_length)) return -EINVAL;
  const uint32_t page = address / kPageBytes;
  const uint32_t old_count = PageCount(old_length);
  const uint32_t new_count = PageCount(new_length);
  const MutexLock locked(lock, LockRank::kMemoryMap);
  if (CountPresent(page, old_count) != old_count) return -EFAULT;
  if (new_count <= old_count) {
    if (new_count < old_count) Drop(page + new_count, old_count - new_count);
    return address;
  }
  if (CountPresent(page + old_count, new_count - old_count) == 0) {
    const int32_t error =
        Add(page + old_count, new_count - old_count, platform::Access::kReadWrite);
    return error != 0 ? error : int64_t{address};
  }
  if ((flags & MREMAP_MAYMOVE) == 0) return -ENOMEM;
  const uint32_t target = FindFree(new_count);
  if (target == kPages) return -ENOMEM;
  const int32_t error = Add(target, new_count, platform::Access::kReadWrite);
  if (error != 0) return error;
  // The guest may have taken its own rights from the old pages.
  const int failed =
      cordon_copy(reinterpret_cast<void*>(AddressOf(target)),
                  reinterpret_cast<const void*>(AddressOf(page)), uint64_t{old_count} * kPageBytes);
  Drop(failed != 0 ? target : page, failed != 0 ? new_count : old_count);
  if (failed != 0) return failed;
  return static_cast<int64_t>(uint64_t{target} * kPageBytes);
}

int32_t ProtectPages(uint32_t address, uint32_t length, uint32_t protection) {
  if (length == 0) return 0;
  if (!InRange(address, length)) return -EINVAL;
  const uint32_t page = address / kPageBytes;
  const uint32_t count = PageCount(length);
  const MutexLock locked(lock, LockRank::kMemoryMap);
  if (CountPresent(page, count) != count) return -ENOMEM;
  return platform::Protect(AddressOf(page), uint64_t{count} * kPageBytes, AccessOf(protection))
             ? 0
             : -ENOMEM;
}

int32_t AdvisePages(uint32_t address, uint32_t length, uint32_t advice) {
  if (length == 0) return 0;
  if (!InRange(address, length)) return -EINVAL;
  const uint32_t page = address / kPageBytes;
  const MutexLock locked(lock, LockRank::kMemoryMap);
  if (advice == MADV_DONTNEED && CountPresent(page, PageCount(length)) == PageCount(length)) {
    platform::Discard(AddressOf(page), uint64_t{PageCount(length)} * kPageBytes);
  }
  return 0;
}

uint32_t GrowMemory(uint32_t delta_pages) {
  const MutexLock locked(lock, LockRank::kMemoryMap);
  const uint64_t old_bytes = memory.size_bytes;
  const uint64_t new_bytes = old_bytes + uint64_t{delta_pages} * wasm::kPageSize;
  if (new_bytes > memory.max_bytes) return UINT32_MAX;
  const auto page = static_cast<uint32_t>(old_bytes / kPageBytes);
  const auto count = static_cast<uint32_t>((new_bytes - old_bytes) / kPageBytes);
  if (count > 0 && Add(page, count, platform::Access::kReadWrite) != 0) return UINT32_MAX;
  SetSize(new_bytes);
  return static_cast<uint32_t>(old_bytes / wasm::kPageSize);
}

}  // namespace cordon::kernel
