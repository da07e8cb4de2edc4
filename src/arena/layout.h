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
// Blocks of files: the first generation, one memfd each.
inline constexpr uint64_t kBlocks = 0x2200'0000'0000;
inline constexpr uint64_t kGenerationReserve = 64 * kGiB;
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
// The instances of its other threads, which have globals and tables of their own.
inline constexpr uint64_t kThreadInstances = 0x2810'0000'0000;
inline constexpr uint64_t kThreadInstancesReserve = 512 * kGiB;
// Private to a process: linear memory. Reserved from 2 GiB before it to 8 GiB + 64 KiB after, no
// access beyond what the program has.
inline constexpr uint64_t kMemory = 0x2900'0000'0000;
inline constexpr uint64_t kMemoryReserveBefore = 2 * kGiB;
inline constexpr uint64_t kMemoryReserve = 8 * kGiB + 64 * 1024;
// Private to a process: a block for each of its threads, aligned to its size, with all stacks that
// the thread ever runs on. So the stack pointer says which thread runs (arena/thread_block.h).
inline constexpr uint64_t kThreadBlocks = 0x2a00'0000'0000;
inline constexpr uint64_t kThreadBlockBytes = 16 * 1024 * 1024;
inline constexpr uint32_t kMaxProcessThreads = 1024;
// In a block; what is not listed has no access.
inline constexpr uint64_t kBaseStackOffset = 0x10'0000;
inline constexpr uint64_t kBaseStackBytes = 256 * 1024;
inline constexpr uint64_t kSignalStackOffset = kBaseStackOffset + kBaseStackBytes;
inline constexpr uint64_t kSignalStackBytes = 256 * 1024;
inline constexpr uint64_t kThreadDataOffset = kSignalStackOffset + kSignalStackBytes;
inline constexpr uint64_t kThreadDataBytes = 32 * 1024;
// The three lie together: each mapping costs each fork.
inline constexpr uint64_t kPrivatePartBytes =
    kBaseStackBytes + kSignalStackBytes + kThreadDataBytes;
inline constexpr uint64_t kKernelStackOffset = 0x30'0000;
inline constexpr uint64_t kKernelStackBytes = 128 * 1024;
inline constexpr uint64_t kGuestStackOffset = 0x50'0000;
inline constexpr uint64_t kGuestStackBytes = 8 * 1024 * 1024;
inline constexpr uint64_t kStackGuardBytes = 1024 * 1024;
static_assert(kGuestStackOffset - kStackGuardBytes >= kKernelStackOffset + kKernelStackBytes &&
              kKernelStackOffset - kStackGuardBytes >= kThreadDataOffset + kThreadDataBytes &&
              kGuestStackOffset + kGuestStackBytes < kThreadBlockBytes);
// Private to a process: arguments and environment of its program.
inline constexpr uint64_t kPrivate = 0x2c00'0000'0000;
// Generations of blocks after the first.
inline constexpr uint64_t kLaterBlocks = 0x3000'0000'0000;
inline constexpr uint32_t kMaxGenerations = 512;
inline constexpr uint64_t GenerationAt(uint32_t generation) {
  return generation == 0 ? kBlocks : kLaterBlocks + (generation - 1) * kGenerationReserve;
}

}  // namespace cordon::layout

#endif  // CORDON_ARENA_LAYOUT_H_
