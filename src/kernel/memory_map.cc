#include "kernel/memory_map.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "arena/layout.h"
#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/page_set.h"
#include "kernel/process.h"

namespace cordon::kernel {
namespace {

using layout::kPageBytes;
// The last 64 KiB of the 4 GiB never exist, so that no 32-bit length or end wraps.
constexpr uint32_t kPages = 0xffff0000u / kPageBytes;
// A process keeps this many pages that it gave back, zeroed when they are taken again: allocators
// give back and take the same few over and over, and each time the host would fault them in anew.
constexpr uint32_t kKeptPages = 512;

// Private memory of a process: a fork copies it with everything else. Its threads change it under
// the lock; the size is also read without it, by compiled code, and only grows.
Mutex lock;
PageSet<kPages> present;
PageSet<kPages> kept;   // not present, but readable, writable and charged
PageSet<kPages> plain;  // present, readable and writable, and never anything else
uint32_t kept_count = 0;
uint32_t end_page = 0;    // beyond the highest present or kept page
uint32_t first_free = 0;  // no page below it is free
wasm::Memory memory;
// Pages of a frozen program's file: given back they would show the file again instead of zeros.
uint32_t frozen_first = 0;
uint32_t frozen_end = 0;

uint64_t AddressOf(uint32_t page) {
  return layout::kMemory + uint64_t{page} * kPageBytes;
}
uint32_t PageCount(uint32_t bytes) {
  return static_cast<uint32_t>((uint64_t{bytes} + kPageBytes - 1) / kPageBytes);
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
  first_free = present.NextAbsent(first_free, kPages);
  uint32_t start = first_free;
  while (start <= kPages - count) {
    const uint32_t stop = present.NextMember(start, start + count);
    if (stop == start + count) return start;
    start = present.NextAbsent(stop, kPages);
  }
  return kPages;
}

// Counts against the limit, without a word about it if it is met.
bool TryCharge(uint64_t pages) {
  Kernel& kernel = TheKernel();
  const uint64_t limit = kernel.control->limits.memory_bytes / kPageBytes;
  const uint64_t now = kernel.committed_pages.fetch_add(pages, std::memory_order_relaxed) + pages;
  if (now > limit) {
    kernel.committed_pages.fetch_sub(pages, std::memory_order_relaxed);
    return false;
  }
  uint64_t peak = kernel.committed_peak.load(std::memory_order_relaxed);
  while (now > peak &&
         !kernel.committed_peak.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
  if (RunAccount* account = Current().account) account->Charge(pages);
  return true;
}

// Whether the process may have that many beside what it has.
bool HasAddressSpace(uint64_t pages) {
  const Process& process = Current();
  return process.committed_pages + process.stack_pages + pages <=
         process.address_limit / kPageBytes;
}

void Uncharge(uint64_t pages) {
  ReturnPages(Current(), pages);
  Current().committed_pages -= pages;
}

void LowerEnd() {
  while (end_page > 0 && !present.Has(end_page - 1) && !kept.Has(end_page - 1)) --end_page;
}

bool MayBeFrozen(uint32_t page, uint32_t count) {
  return page < frozen_end && page + count > frozen_first;
}

// Gives the contents of pages back to the host.
void Empty(uint32_t page, uint32_t count, platform::Access access) {
  const uint64_t bytes = uint64_t{count} * kPageBytes;
  if (MayBeFrozen(page, count)) {
    // A process that saw old contents where zeros have to be could not go on.
    if (!platform::MapPrivate(AddressOf(page), bytes, access)) ExitCurrent(SIGKILL);
    return;
  }
  // In this order, or another thread could write in between, and the page would be neither zero nor
  // charged. A failure leaves pages accessible that the guest gave back: no harm but to itself.
  if (access == platform::Access::kNone) (void)platform::Protect(AddressOf(page), bytes, access);
  platform::Discard(AddressOf(page), bytes);
}

// Gives pages to the host, which the guest gave back before or does now.
void Discard(uint32_t page, uint32_t count) {
  Empty(page, count, platform::Access::kNone);
  const uint32_t were_kept = kept.Count(page, count);
  Uncharge(present.Count(page, count) + were_kept);
  kept_count -= were_kept;
  present.Remove(page, count);
  kept.Remove(page, count);
}

void DiscardKept() {
  while (kept_count > 0) {
    const uint32_t page = kept.NextMember(0, end_page);
    Discard(page, kept.NextAbsent(page, end_page) - page);
  }
  LowerEnd();
}

// Takes the kept pages of a range out of the set, zeroed; returns how many there were. They can be
// written: no thread changes that without the lock. What a thread writes into them meanwhile, as
// into any memory that another one takes, is its program's affair.
uint32_t TakeKept(uint32_t page, uint32_t count) {
  if (kept_count == 0) return 0;
  uint32_t taken = 0;
  for (uint32_t at = kept.NextMember(page, page + count); at < page + count;) {
    const uint32_t stop = kept.NextAbsent(at, page + count);
    memset(reinterpret_cast<void*>(AddressOf(at)), 0, uint64_t{stop - at} * kPageBytes);
    taken += stop - at;
    at = kept.NextMember(stop, page + count);
  }
  kept.Remove(page, count);
  kept_count -= taken;
  return taken;
}

void SetPlain(uint32_t page, uint32_t count, bool is_plain) {
  if (is_plain) {
    plain.Add(page, count);
  } else {
    plain.Remove(page, count);
  }
}

// Makes free pages present, zeroed.
int32_t Add(uint32_t page, uint32_t count, platform::Access access) {
  uint32_t fresh = count - kept.Count(page, count);
  bool is_charged = HasAddressSpace(fresh) && TryCharge(fresh);
  if (!is_charged) {
    DiscardKept();
    fresh = count;
    is_charged = HasAddressSpace(fresh) && ChargePages(fresh);
  }
  if (!is_charged) return -ENOMEM;
  Current().committed_pages += fresh;
  const uint32_t taken = TakeKept(page, count);
  const bool is_plain = access == platform::Access::kReadWrite;
  if ((taken < count || !is_plain) &&
      !platform::Protect(AddressOf(page), uint64_t{count} * kPageBytes, access)) {
    Uncharge(count);
    return -ENOMEM;
  }
  present.Add(page, count);
  SetPlain(page, count, is_plain);
  end_page = std::max(end_page, page + count);
  UpdateSize();
  return 0;
}

void Drop(uint32_t page, uint32_t count) {
  const uint32_t gone = present.Count(page, count);
  if (gone == 0) return;
  first_free = std::min(first_free, page);
  if (gone == count && kept_count + count <= kKeptPages && plain.Count(page, count) == count) {
    present.Remove(page, count);
    kept.Add(page, count);
    kept_count += count;
    return;
  }
  Discard(page, count);
  LowerEnd();
}

bool InRange(uint32_t address, uint32_t length) {
  return address % kPageBytes == 0 && length > 0 &&
         uint64_t{address / kPageBytes} + PageCount(length) <= kPages;
}

}  // namespace

bool ChargePages(uint64_t pages) {
  if (TryCharge(pages)) return true;
  MeetLimit(control::kLimitMemory);
  return false;
}

void ReturnPages(Process& process, uint64_t pages) {
  if (process.account != nullptr) process.account->Return(pages);
  TheKernel().committed_pages.fetch_sub(pages, std::memory_order_relaxed);
}

Mutex& MemoryMapLock() {
  return lock;
}

bool ChargeThreadPages(uint64_t pages) {
  const MutexLock locked(lock, LockRank::kMemoryMap);
  if (!HasAddressSpace(pages)) return false;
  if (!TryCharge(pages)) {
    DiscardKept();
    if (!ChargePages(pages)) return false;
  }
  Current().committed_pages += pages;
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

namespace {

// Linear memory without any page; the process is going to have `charge` and a stack that is not
// charged.
bool EmptyMemory(uint64_t charge, uint64_t stack, uint32_t max_pages) {
  Process& process = Current();
  if (charge + stack > process.address_limit / kPageBytes || !ChargePages(charge)) return false;
  ReturnPages(process, process.committed_pages);
  process.committed_pages = charge;
  process.stack_pages = stack;
  process.thread_pages = OwnData().charged_pages = 0;
  if (end_page > 0 && !platform::MapPrivate(layout::kMemory, uint64_t{end_page} * kPageBytes,
                                            platform::Access::kNone)) {
    return false;
  }
  present.Remove(0, end_page);
  kept.Remove(0, end_page);
  end_page = first_free = kept_count = frozen_first = frozen_end = 0;
  memory = {};
  memory.base = reinterpret_cast<std::byte*>(layout::kMemory);
  memory.max_bytes =
      std::min<uint64_t>(uint64_t{max_pages} * wasm::kPageSize, uint64_t{kPages} * kPageBytes);
  return true;
}

// A run of pages, mapped or, where the host cannot, copied.
bool ThawRun(const vfs::FrozenRun& run, const std::byte* pages) {
  const uint64_t bytes = uint64_t{run.count} * kPageBytes;
  if (platform::MoveFrozen(reinterpret_cast<uint64_t>(pages), AddressOf(run.first), bytes))
    return true;
  if (!platform::Protect(AddressOf(run.first), bytes, platform::Access::kReadWrite)) return false;
  platform::Populate(AddressOf(run.first), bytes);
  memcpy(reinterpret_cast<void*>(AddressOf(run.first)), pages, bytes);
  return true;
}

}  // namespace

bool ResetMemory(uint32_t min_pages, uint32_t max_pages, uint64_t stack_bytes) {
  const uint64_t bytes = uint64_t{min_pages} * wasm::kPageSize;
  const auto count = static_cast<uint32_t>(bytes / kPageBytes);
  const uint64_t stack = std::min<uint64_t>(count, stack_bytes / kPageBytes);
  if (count > kPages || !EmptyMemory(count - stack, stack, max_pages)) return false;
  memory.size_bytes = bytes;
  if (count == 0) return true;
  if (!platform::Protect(layout::kMemory, bytes, platform::Access::kReadWrite)) return false;
  present.Add(0, count);
  plain.Add(0, count);
  end_page = first_free = count;
  return true;
}

bool ThawMemory(const vfs::FrozenProgram& frozen, const std::byte* pages, uint32_t max_pages,
                uint64_t stack_bytes) {
  uint64_t count = 0;
  for (const vfs::FrozenRun& run : frozen.runs) count += run.count;
  const uint64_t stack = std::min<uint64_t>(count, stack_bytes / kPageBytes);
  if (!EmptyMemory(count - stack, stack, max_pages)) return false;
  frozen_first = kPages;
  for (const vfs::FrozenRun& run : frozen.runs) {
    const uint64_t bytes = uint64_t{run.count} * kPageBytes;
    if (run.kind == vfs::FrozenRun::kZero &&
        !platform::Protect(AddressOf(run.first), bytes, platform::Access::kReadWrite)) {
      return false;
    }
    if (run.kind == vfs::FrozenRun::kData) {
      if (!ThawRun(run, pages)) return false;
      pages += bytes;
      frozen_first = std::min(frozen_first, run.first);
      frozen_end = run.first + run.count;
    }
    present.Add(run.first, run.count);
    SetPlain(run.first, run.count, run.kind == vfs::FrozenRun::kZero);
    end_page = run.first + run.count;
  }
  UpdateSize();
  return true;
}

uint32_t EndOfPages() {
  return end_page;
}

bool PageExists(uint32_t page) {
  return page < end_page && present.Has(page);
}

int64_t MapPages(uint32_t address, uint32_t length, uint32_t protection, uint32_t flags) {
  const uint32_t count = PageCount(length);
  if (length == 0) return -EINVAL;
  if (count > kPages) return -ENOMEM;
  const MutexLock locked(lock, LockRank::kMemoryMap);
  uint32_t page = address / kPageBytes;
  if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0) {
    if (!InRange(address, length)) return -EINVAL;
    if ((flags & MAP_FIXED_NOREPLACE) != 0 && present.Count(page, count) > 0) return -EEXIST;
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
  if (present.Count(page, old_count) != old_count) return -EFAULT;
  if (new_count <= old_count) {
    if (new_count < old_count) Drop(page + new_count, old_count - new_count);
    return address;
  }
  if (present.Count(page + old_count, new_count - old_count) == 0) {
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
  if (present.Count(page, count) != count) return -ENOMEM;
  plain.Remove(page, count);
  return platform::Protect(AddressOf(page), uint64_t{count} * kPageBytes, AccessOf(protection))
             ? 0
             : -ENOMEM;
}

int32_t AdvisePages(uint32_t address, uint32_t length, uint32_t advice) {
  if (length == 0) return 0;
  if (!InRange(address, length)) return -EINVAL;
  const uint32_t page = address / kPageBytes;
  const MutexLock locked(lock, LockRank::kMemoryMap);
  if (advice == MADV_DONTNEED && present.Count(page, PageCount(length)) == PageCount(length)) {
    Empty(page, PageCount(length), platform::Access::kReadWrite);
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
