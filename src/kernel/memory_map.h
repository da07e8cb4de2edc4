#ifndef CORDON_KERNEL_MEMORY_MAP_H_
#define CORDON_KERNEL_MEMORY_MAP_H_

// The linear memory of the current process: which of its 4 KiB pages exist. Beyond them nothing is
// accessible, so a guest's stray access is a fault and its trap; only what it gave back a moment
// ago may still be readable.

#include <cstdint>

#include "arena/lock.h"
#include "vfs/frozen_program.h"
#include "wasm/abi.h"

namespace cordon::kernel {

struct Process;

// Counts pages of the current process against the sandbox's memory limit, and for its run; false
// when the limit would be exceeded.
[[nodiscard]] bool ChargePages(uint64_t pages);
void ReturnPages(Process& process, uint64_t pages);
// For a thread of the current process: its instance and stacks.
[[nodiscard]] bool ChargeThreadPages(uint64_t pages);
void ReturnThreadPages(uint64_t pages);

// Everything below takes it; a fork holds it, so that the copy's map is true.
Mutex& MemoryMapLock();

// Empties linear memory and makes [0, min_pages × 64 KiB) accessible. The first `stack_bytes` of
// it, the program's shadow stack, are not charged: megabytes of which a process touches a few
// pages. False: over the limit, nothing was changed.
[[nodiscard]] bool ResetMemory(uint32_t min_pages, uint32_t max_pages, uint64_t stack_bytes);
wasm::Memory& LinearMemory();
// The same with the pages of a frozen program, whose contents are mapped copy on write from
// `pages`.
[[nodiscard]] bool ThawMemory(const vfs::FrozenProgram& frozen, const std::byte* pages,
                              uint32_t max_pages, uint64_t stack_bytes);
// Which 4 KiB pages exist: none from EndOfPages on.
uint32_t EndOfPages();
bool PageExists(uint32_t page);

// Guest addresses or -errno, as mmap(2) and its relatives; addresses and lengths in bytes.
int64_t MapPages(uint32_t address, uint32_t length, uint32_t protection, uint32_t flags);
int32_t UnmapPages(uint32_t address, uint32_t length);
int64_t RemapPages(uint32_t address, uint32_t old_length, uint32_t new_length, uint32_t flags);
int32_t ProtectPages(uint32_t address, uint32_t length, uint32_t protection);
int32_t AdvisePages(uint32_t address, uint32_t length, uint32_t advice);
// memory.grow: the old size in 64 KiB pages, or UINT32_MAX.
uint32_t GrowMemory(uint32_t delta_pages);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_MEMORY_MAP_H_
