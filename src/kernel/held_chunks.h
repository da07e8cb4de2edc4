#ifndef CORDON_KERNEL_HELD_CHUNKS_H_
#define CORDON_KERNEL_HELD_CHUNKS_H_

// Memory for contents of files that the keeper writes by itself, from outside: chunks that no file
// has while it does, so that no guest can have one freed, or read what is not written yet. Of the
// service process, where one request at a time uses them.

#include <cstdint>

#include "kernel/control.h"
#include "vfs/memory_fs.h"

namespace cordon::kernel {

class HeldChunks {
 public:
  // Gives up what is left and holds `count` others, or as many as there is room for. How many.
  uint32_t Hold(vfs::MemoryFs& fs, uint32_t count);
  // Where one is in the file of blocks.
  [[nodiscard]] uint64_t OffsetOf(const vfs::MemoryFs& fs, uint32_t index) const;
  // The chunks from `first` on become a file's contents at `offset`. As MemoryFs::TakeOver.
  int64_t TakeOver(vfs::MemoryFs& fs, uint64_t file, uint32_t first, uint64_t offset,
                   uint64_t bytes);

 private:
  std::byte* chunks_[control::kMostHeldChunks] = {};
  uint32_t count_ = 0;
};

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_HELD_CHUNKS_H_
