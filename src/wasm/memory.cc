#include <asm/prctl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "wasm/instance.h"

namespace cordon::wasm {

bool CanUseWrGsBase() {
  constexpr unsigned long kHwcap2FsGsBase = 1ul << 1;
  return (getauxval(AT_HWCAP2) & kHwcap2FsGsBase) != 0;
}

void SetMemoryBase(const std::byte* base, bool can_use_wrgsbase) {
  if (can_use_wrgsbase) {
    asm volatile("wrgsbase %0" : : "r"(base));
  } else {
    syscall(SYS_arch_prctl, ARCH_SET_GS, base);
  }
}

Status ReserveMemory(uint32_t min_pages, uint32_t max_pages, Memory* memory) {
  max_pages = std::min(max_pages, kMaxMemoryPages);
  if (min_pages > max_pages) return SystemError("linear memory of 4 GiB", ENOMEM);
  void* start = mmap(nullptr, kMemoryGuardBefore + kMemoryReservation, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return SystemError("mmap(linear memory, PROT_NONE)");
  auto* base = static_cast<std::byte*>(start) + kMemoryGuardBefore;
  if (min_pages != 0 && mprotect(base, min_pages * kPageSize, PROT_READ | PROT_WRITE) != 0) {
    const int error_number = errno;
    munmap(start, kMemoryGuardBefore + kMemoryReservation);
    return SystemError("mprotect(linear memory)", error_number);
  }
  *memory = {base, min_pages * kPageSize, max_pages * kPageSize, 0, 0xffffffff};
  return {};
}

void ReleaseMemory(Memory* memory) {
  if (memory->base == nullptr) return;
  munmap(memory->base - kMemoryGuardBefore, kMemoryGuardBefore + kMemoryReservation);
  *memory = {};
}

}  // namespace cordon::wasm
