#include "kernel/held_chunks.h"

#include <algorithm>
#include <cerrno>

#include "vfs/inode.h"

namespace cordon::kernel {

static_assert(control::kTreeChunkBytes == vfs::kChunkBytes);

uint32_t HeldChunks::Hold(vfs::MemoryFs& fs, uint32_t count) {
  for (std::byte*& chunk : chunks_) {
    if (chunk != nullptr) fs.FreeLooseChunk(chunk);
    chunk = nullptr;
  }
  count = std::min(count, control::kMostHeldChunks);
  for (count_ = 0; count_ < count; ++count_) {
    chunks_[count_] = fs.NewLooseChunk();
    if (chunks_[count_] == nullptr) break;
  }
  return count_;
}

uint64_t HeldChunks::OffsetOf(const vfs::MemoryFs& fs, uint32_t index) const {
  return fs.PlaceOf(chunks_[index]);
}

int64_t HeldChunks::TakeOver(vfs::MemoryFs& fs, uint64_t file, uint32_t first, uint64_t offset,
                             uint64_t bytes) {
  uint64_t done = 0;
  for (uint32_t index = first; done < bytes; ++index) {
    if (index >= count_ || chunks_[index] == nullptr) return -EINVAL;
    const uint64_t part = std::min<uint64_t>(bytes - done, control::kTreeChunkBytes);
    bool is_taken = false;
    const int64_t put = fs.TakeOver(file, offset + done, chunks_[index], part, &is_taken);
    if (is_taken) chunks_[index] = nullptr;
    if (put < 0 && done == 0) return put;
    if (put > 0) done += static_cast<uint64_t>(put);
    if (put < static_cast<int64_t>(part)) break;
  }
  return static_cast<int64_t>(done);
}

}  // namespace cordon::kernel
