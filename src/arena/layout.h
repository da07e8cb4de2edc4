#ifndef CORDON_ARENA_LAYOUT_H_
#define CORDON_ARENA_LAYOUT_H_

// Where everything lies in a guest process. All processes of a sandbox are clones of one template
// that never executes, so these addresses, and plain pointers between them, mean the same in each
// of them.
//
// The values leave the address ranges of AddressSanitizer's shadow alone and fit 47-bit user space.

#include <cstddef>
#include <cstdint>

namespace cordon::layout {

inline constexpr size_t kPageBytes = 4096;
inline constexpr uint64_t kGiB = uint64_t{1} << 30;

// Shared with the keeper, which reads it as hostile: control page, mailbox and stream rings
// (kernel/control.h).
inline constexpr uint64_t kControl = 0x2000'0000'0000;
// Shared by all guest processes of a sandbox (MAP_SHARED memfd): inodes, tables, queues.
inline constexpr uint64_t kObjects = 0x2100'0000'0000;
inline constexpr uint64_t kObjectsReserve = 64 * kGiB;
// Blocks of files: generation g at kBlocks + g * kGenerationReserve, one memfd each.
inline constexpr uint64_t kBlocks = 0x2200'0000'0000;
inline constexpr uint64_t kGenerationReserve = 64 * kGiB;
inline constexpr uint32_t kMaxGenerations = 256;
// The userland image: one read-only mapping of the whole file, and its code, page-aligned at its
// end, mapped again readable and executable.
inline constexpr uint64_t kUserland = 0x2700'0000'0000;
inline constexpr uint64_t kUserlandCode = 0x2710'0000'0000;
// Code of modules that are not part of the image: written by the keeper, readable and executable
// here.
inline constexpr uint64_t kCodeWindow = 0x2720'0000'0000;
// The frozen programs of the image, writable and private: exec moves what it starts from here into
// linear memory, and what is left behind is the file's again.
inline constexpr uint64_t kUserlandFrozen = 0x2730'0000'0000;
// Private to a process: the instance (context, globals, tables) of the program that it runs.
inline constexpr uint64_t kInstance = 0x2800'0000'0000;
inline constexpr uint64_t kInstanceReserve = 4 * kGiB;
// Private to a process: linear memory. Reserved from 2 GiB before it to 8 GiB + 64 KiB after, no
// access beyond what the program has.
inline constexpr uint64_t kMemory = 0x2900'0000'0000;
inline constexpr uint64_t kMemoryReserveBefore = 2 * kGiB;
inline constexpr uint64_t kMemoryReserve = 8 * kGiB + 64 * 1024;
// Private to a process: native stacks of guest threads and kernel stacks, one of each for a thread
// slot, each with a guard below it.
inline constexpr uint64_t kGuestStacks = 0x2a00'0000'0000;
inline constexpr uint64_t kGuestStackBytes = 8 * 1024 * 1024;
inline constexpr uint64_t kKernelStacks = 0x2b00'0000'0000;
inline constexpr uint64_t kKernelStackBytes = 128 * 1024;
inline constexpr uint64_t kStackGuardBytes = 1024 * 1024;
// Private to a process: signal stack, copy buffers and whatever else the kernel keeps for one
// process only.
inline constexpr uint64_t kPrivate = 0x2c00'0000'0000;

}  // namespace cordon::layout

#endif  // CORDON_ARENA_LAYOUT_H_
