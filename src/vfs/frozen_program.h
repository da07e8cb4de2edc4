#ifndef CORDON_VFS_FROZEN_PROGRAM_H_
#define CORDON_VFS_FROZEN_PROGRAM_H_

// A program that was stopped after it had initialised itself: linear memory and globals. A start of
// the program then maps the memory copy on write and goes on from there.
//
//   FrozenHeader | FrozenRun[] | FrozenGlobal[] | page boundary | pages
//
// Written by the kernel's freeze.cc when the userland is built, packed into the image by
// cordon-mkimage, used by exec.cc. Nothing of the host is in it: no address, no descriptor.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace cordon::vfs {

inline constexpr std::array<char, 8> kFrozenMagic = {'C', 'O', 'R', 'D', 'O', 'N', 'F', 'Z'};
inline constexpr uint32_t kFrozenVersion = 1;
inline constexpr uint32_t kFrozenPageBytes = 4096;
// The export with which such a program goes on, a function without parameters and results.
inline constexpr const char* kResumeExport = "__cordon_resume";

struct FrozenHeader {
  std::array<char, 8> magic;
  uint32_t version;
  uint32_t run_count;
  uint32_t global_count;  // all that the module has of its own
  uint32_t page_count;    // of those that follow
  uint64_t pages;         // offset of the first
  uint64_t size;          // of the whole, in bytes
  std::array<uint8_t, 32> module_hash;
};

// Pages in a row that exist in linear memory. Runs ascend and do not overlap.
struct FrozenRun {
  enum Kind : uint32_t {
    kNoAccess,  // reserved
    kZero,
    kData,  // the next ones of the file
  };
  uint32_t first;
  uint32_t count;
  Kind kind;
};

// Aligned as the engine's.
struct alignas(16) FrozenGlobal {
  uint64_t bits[2];
};

struct FrozenProgram {
  const FrozenHeader* header = nullptr;
  std::span<const FrozenRun> runs;
  std::span<const FrozenGlobal> globals;
  const std::byte* pages = nullptr;

  // Checks everything that using it relies on; false if it is damaged.
  [[nodiscard]] bool Open(std::span<const std::byte> bytes);
};

}  // namespace cordon::vfs

#endif  // CORDON_VFS_FROZEN_PROGRAM_H_
