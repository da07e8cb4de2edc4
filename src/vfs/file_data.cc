#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "arena/platform.h"
#include "vfs/inode.h"

namespace cordon::vfs {
namespace {

constexpr uint64_t kSmallestChunk = 512;
constexpr uint64_t kMaxFile = uint64_t{1} << 40;
constexpr uint32_t kFileBytesLimit = 1u << 3;  // control::kLimitFileBytes

}  // namespace

bool FileData::Charge(uint64_t bytes) {
  if (fs_.bytes_.fetch_add(bytes) + bytes <= fs_.quotas_.max_bytes) return true;
  fs_.bytes_.fetch_sub(bytes);
  if (fs_.quotas_.limits_met != nullptr) fs_.quotas_.limits_met->fetch_or(kFileBytesLimit);
  return false;
}

void FileData::FreeChunk(std::byte* chunk, uint64_t bytes) {
  if (chunk == nullptr) return;
  // Whole chunks go back to the host; the allocator clears nothing in buffers.
  if (bytes == kChunkBytes) platform::DiscardShared(reinterpret_cast<uint64_t>(chunk), bytes);
  fs_.blocks_->Free(chunk, bytes);
  fs_.bytes_.fetch_sub(bytes);
}

int FileData::GrowTable(uint64_t index) {
  Contents& contents = inode_.contents;
  if (index < contents.chunk_count) return 0;
  const uint64_t count = std::max<uint64_t>(std::bit_ceil(index + 1), 4);
  auto** chunks = static_cast<std::byte**>(fs_.objects_->Allocate(count * sizeof(std::byte*)));
  if (chunks == nullptr) return -ENOSPC;
  if (contents.chunks != nullptr) {
    memcpy(chunks, contents.chunks, contents.chunk_count * sizeof(std::byte*));
    fs_.objects_->Free(contents.chunks, contents.chunk_count * sizeof(std::byte*));
  }
  contents.chunks = chunks;
  contents.chunk_count = static_cast<uint32_t>(count);
  return 0;
}

// Chunk 0 as large as `bytes` needs.
int FileData::GrowFirst(uint64_t bytes) {
  Contents& contents = inode_.contents;
  const uint64_t wanted = std::bit_ceil(std::max(bytes, kSmallestChunk));
  if (wanted <= contents.first_bytes) return 0;
  const int error = GrowTable(0);
  if (error != 0) return error;
  if (!Charge(wanted)) return -EDQUOT;
  auto* chunk = static_cast<std::byte*>(fs_.blocks_->AllocateBuffer(wanted));
  if (chunk == nullptr) {
    fs_.bytes_.fetch_sub(wanted);
    return -ENOSPC;
  }
  const uint64_t old = contents.chunks[0] == nullptr ? 0 : contents.first_bytes;
  if (old > 0) memcpy(chunk, contents.chunks[0], old);
  memset(chunk + old, 0, wanted - old);
  FreeChunk(contents.chunks[0], contents.first_bytes);
  contents.chunks[0] = chunk;
  contents.first_bytes = static_cast<uint32_t>(wanted);
  return 0;
}

// The chunk with room for its first `bytes` bytes.
std::byte* FileData::ChunkForWrite(uint64_t index, uint64_t bytes, int* error) {
  Contents& contents = inode_.contents;
  if (index == 0) {
    *error = GrowFirst(bytes);
    return *error == 0 ? contents.chunks[0] : nullptr;
  }
  *error = GrowTable(index);
  if (*error != 0) return nullptr;
  std::byte*& chunk = contents.chunks[index];
  if (chunk != nullptr) return chunk;
  if (!Charge(kChunkBytes)) {
    *error = -EDQUOT;
    return nullptr;
  }
  chunk = static_cast<std::byte*>(fs_.blocks_->AllocateBuffer(kChunkBytes));
  if (chunk == nullptr) {
    fs_.bytes_.fetch_sub(kChunkBytes);
    *error = -ENOSPC;
    return nullptr;
  }
  memset(chunk, 0, kChunkBytes);
  return chunk;
}

int FileData::Own() {
  if (inode_.image == kNoImage) return 0;
  const std::byte* data = fs_.image_->DataOf(inode_.image);
  const uint64_t size = inode_.size;
  inode_.image = kNoImage;
  inode_.contents = {};
  inode_.size = 0;
  const int64_t put = size == 0 ? 0 : Write(0, data, size);
  return put < 0 ? static_cast<int>(put) : static_cast<uint64_t>(put) < size ? -EDQUOT : 0;
}

int64_t FileData::Read(uint64_t offset, void* to, uint64_t size) {
  if (offset >= inode_.size) return 0;
  size = std::min(size, inode_.size - offset);
  auto* out = static_cast<std::byte*>(to);
  if (inode_.image != kNoImage) {
    return Copy(out, fs_.image_->DataOf(inode_.image) + offset, size) != 0
               ? -EFAULT
               : static_cast<int64_t>(size);
  }
  static constexpr std::byte kZeros[4096] = {};
  for (uint64_t done = 0; done < size;) {
    const uint64_t index = (offset + done) / kChunkBytes;
    const uint64_t start = (offset + done) % kChunkBytes;
    uint64_t part = std::min(size - done, kChunkBytes - start);
    const std::byte* chunk =
        index < inode_.contents.chunk_count ? inode_.contents.chunks[index] : nullptr;
    const std::byte* from = chunk + start;
    if (chunk == nullptr || start >= BytesOf(index)) {
      from = kZeros;
      part = std::min<uint64_t>(part, sizeof kZeros);
    } else {
      part = std::min(part, BytesOf(index) - start);
    }
    if (Copy(out + done, from, part) != 0) return -EFAULT;
    done += part;
  }
  return static_cast<int64_t>(size);
}

int64_t FileData::Write(uint64_t offset, const void* from, uint64_t size) {
  if (size == 0) return 0;
  if (offset > kMaxFile || size > kMaxFile - offset) return -EFBIG;
  int error = Own();
  const auto* in = static_cast<const std::byte*>(from);
  uint64_t done = 0;
  while (error == 0 && done < size) {
    const uint64_t index = (offset + done) / kChunkBytes;
    const uint64_t start = (offset + done) % kChunkBytes;
    const uint64_t part = std::min(size - done, kChunkBytes - start);
    // A file that grows beyond its first chunk gets that in full size at once.
    if (index > 0 && inode_.contents.first_bytes > 0) error = GrowFirst(kChunkBytes);
    std::byte* chunk = error == 0 ? ChunkForWrite(index, start + part, &error) : nullptr;
    if (chunk == nullptr) break;
    if (Copy(chunk + start, in + done, part) != 0) {
      error = -EFAULT;
      break;
    }
    done += part;
  }
  inode_.size = std::max(inode_.size, done > 0 ? offset + done : 0);
  return done > 0 ? static_cast<int64_t>(done) : error;
}

int FileData::Resize(uint64_t size) {
  if (size > kMaxFile) return -EFBIG;
  if (size == 0) {
    Clear();
    inode_.size = 0;
    return 0;
  }
  const int error = Own();
  if (error != 0) return error;
  Contents& contents = inode_.contents;
  if (size < inode_.size) {
    const uint64_t keep = (size + kChunkBytes - 1) / kChunkBytes;
    for (uint64_t i = keep; i < contents.chunk_count; ++i) {
      FreeChunk(contents.chunks[i], BytesOf(i));
      contents.chunks[i] = nullptr;
    }
    // What was cut off must read as zeros when the file grows again.
    const uint64_t last = (size - 1) / kChunkBytes;
    const uint64_t in_last = (size - 1) % kChunkBytes + 1;
    std::byte* const chunk = last < contents.chunk_count ? contents.chunks[last] : nullptr;
    if (chunk != nullptr && in_last < BytesOf(last)) {
      memset(chunk + in_last, 0, BytesOf(last) - in_last);
    }
  }
  inode_.size = size;
  return 0;
}

int FileData::Reserve(uint64_t offset, uint64_t size) {
  if (size == 0 || offset > kMaxFile || size > kMaxFile - offset)
    return size == 0 ? -EINVAL : -EFBIG;
  int error = Own();
  for (uint64_t index = offset / kChunkBytes;
       error == 0 && index <= (offset + size - 1) / kChunkBytes; ++index) {
    (void)ChunkForWrite(index, std::min(kChunkBytes, offset + size - index * kChunkBytes), &error);
  }
  return error;
}

int64_t FileData::Seek(uint64_t offset, bool hole) {
  if (offset >= inode_.size) return -ENXIO;
  if (inode_.image != kNoImage) return static_cast<int64_t>(hole ? inode_.size : offset);
  while (offset < inode_.size) {
    const uint64_t index = offset / kChunkBytes;
    const bool is_hole =
        index >= inode_.contents.chunk_count || inode_.contents.chunks[index] == nullptr;
    if (is_hole == hole) return static_cast<int64_t>(offset);
    offset = (index + 1) * kChunkBytes;
  }
  return hole ? static_cast<int64_t>(inode_.size) : -ENXIO;
}

uint64_t FileData::AllocatedBytes() const {
  if (inode_.image != kNoImage) return inode_.size;
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < inode_.contents.chunk_count; ++i) {
    if (inode_.contents.chunks[i] != nullptr) bytes += BytesOf(i);
  }
  return bytes;
}

void FileData::Clear() {
  if (inode_.image == kNoImage && inode_.contents.chunks != nullptr) {
    Contents& contents = inode_.contents;
    for (uint64_t i = 0; i < contents.chunk_count; ++i) FreeChunk(contents.chunks[i], BytesOf(i));
    fs_.objects_->Free(contents.chunks, contents.chunk_count * sizeof(std::byte*));
  }
  inode_.image = kNoImage;
  inode_.contents = {};
}

}  // namespace cordon::vfs
