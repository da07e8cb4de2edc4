// Contents of regular files.

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "vfs/inode.h"

namespace cordon::vfs {
namespace {

constexpr uint64_t kSmallestChunk = 512;
constexpr uint64_t kMaxFile = uint64_t{1} << 40;
constexpr uint32_t kFirstTables = 4;

}  // namespace

std::byte* FileData::ChunkAt(uint64_t index) const {
  if (index == 0) return contents_.first;
  const uint64_t table = index / ChunkTable::kChunks;
  if (table >= inode_.table_count || contents_.tables[table] == nullptr) return nullptr;
  return contents_.tables[table]->chunks[index % ChunkTable::kChunks];
}

// Where the pointer to a chunk after the first is kept; null when the arena is full.
std::byte** FileData::SlotFor(uint64_t index) {
  const uint64_t table = index / ChunkTable::kChunks;
  if (table >= inode_.table_count) {
    const uint64_t count = std::max<uint64_t>(std::bit_ceil(table + 1), kFirstTables);
    auto** tables = static_cast<ChunkTable**>(fs_.objects_->Allocate(count * sizeof(ChunkTable*)));
    if (tables == nullptr) return nullptr;
    if (inode_.table_count > 0) {
      memcpy(tables, contents_.tables, inode_.table_count * sizeof(ChunkTable*));
      fs_.objects_->Free(contents_.tables, inode_.table_count * sizeof(ChunkTable*));
    }
    contents_.tables = tables;
    inode_.table_count = static_cast<uint32_t>(count);
  }
  ChunkTable*& chunks = contents_.tables[table];
  if (chunks == nullptr) chunks = fs_.objects_->New<ChunkTable>();
  return chunks == nullptr ? nullptr : &chunks->chunks[index % ChunkTable::kChunks];
}

// `charge` of its bytes are new to the quota.
std::byte* FileData::NewChunk(uint64_t bytes, uint64_t charge, int* error) {
  if (!fs_.ChargeBytes(charge)) {
    *error = -EDQUOT;
    return nullptr;
  }
  auto* chunk = static_cast<std::byte*>(fs_.blocks_->AllocateBuffer(bytes));
  if (chunk == nullptr) {
    fs_.bytes_.fetch_sub(charge);
    *error = -ENOSPC;
    return nullptr;
  }
  contents_.allocated += charge;
  return chunk;
}

void FileData::FreeChunk(std::byte* chunk, uint64_t bytes) {
  if (bytes == kChunkBytes) return fs_.FreeLooseChunk(chunk);
  if (fs_.IsWritable(chunk)) fs_.blocks_->Free(chunk, bytes);
}

// What a chunk that comes into being holds: the image's bytes, then zeros.
void FileData::Fill(std::byte* chunk, uint64_t index, Range part) const {
  if (part.begin >= part.end) return;
  const uint64_t start = index * kChunkBytes;
  const uint64_t lower =
      contents_.image_bytes <= start ? 0 : std::min(contents_.image_bytes - start, part.end);
  const uint64_t split = std::max(part.begin, lower);
  if (split > part.begin) {
    memcpy(chunk + part.begin, fs_.image_->DataOf(inode_.image) + start + part.begin,
           split - part.begin);
  }
  memset(chunk + split, 0, part.end - split);
}

int FileData::GrowFirst(uint64_t bytes, Range wanted) {
  const uint64_t old = contents_.first_bytes;
  const uint64_t size = std::max(std::bit_ceil(std::max(bytes, kSmallestChunk)), old);
  if (size == old && fs_.IsWritable(contents_.first)) return 0;
  int error = 0;
  std::byte* chunk = NewChunk(size, size - old, &error);
  if (chunk == nullptr) return error;
  if (old > 0) {
    memcpy(chunk, contents_.first, old);
    FreeChunk(contents_.first, old);
    wanted = {old, old};
  }
  Fill(chunk, 0, {old, wanted.begin});
  Fill(chunk, 0, {wanted.end, size});
  contents_.first = chunk;
  contents_.first_bytes = static_cast<uint32_t>(size);
  return 0;
}

int FileData::CompleteFirst() {
  const bool is_part = contents_.first_bytes > 0 && contents_.first_bytes < kChunkBytes;
  return is_part ? GrowFirst(kChunkBytes, {}) : 0;
}

std::byte* FileData::ChunkForWrite(uint64_t index, Range wanted, bool* fresh, int* error) {
  *fresh = false;
  if (index == 0) {
    // The image's bytes in this chunk must all find room in it.
    const uint64_t lower = std::min<uint64_t>(contents_.image_bytes, kChunkBytes);
    *fresh = contents_.first_bytes == 0;
    *error = GrowFirst(std::max(wanted.end, lower), wanted);
    return *error == 0 ? contents_.first : nullptr;
  }
  std::byte** slot = SlotFor(index);
  if (slot == nullptr) {
    *error = -ENOSPC;
    return nullptr;
  }
  if (*slot != nullptr && fs_.IsWritable(*slot)) return *slot;
  std::byte* chunk = NewChunk(kChunkBytes, *slot == nullptr ? kChunkBytes : 0, error);
  if (chunk == nullptr) return nullptr;
  if (*slot != nullptr) {
    memcpy(chunk, *slot, kChunkBytes);
  } else {
    *fresh = true;
    Fill(chunk, index, {0, wanted.begin});
    Fill(chunk, index, {wanted.end, kChunkBytes});
  }
  *slot = chunk;
  return chunk;
}

int64_t FileData::Read(uint64_t offset, void* to, uint64_t size) const {
  const uint64_t file_size = inode_.size;
  if (offset >= file_size) return 0;
  size = std::min(size, file_size - offset);
  auto* out = static_cast<std::byte*>(to);
  static constexpr std::byte kZeros[4096] = {};
  for (uint64_t done = 0; done < size;) {
    const uint64_t at = offset + done;
    const uint64_t index = at / kChunkBytes;
    const uint64_t start = at % kChunkBytes;
    uint64_t part = std::min(size - done, kChunkBytes - start);
    const std::byte* from = kZeros;
    const std::byte* chunk = ChunkAt(index);
    if (chunk != nullptr && start < BytesOf(index)) {
      from = chunk + start;
      part = std::min(part, BytesOf(index) - start);
    } else if (chunk == nullptr && at < contents_.image_bytes) {
      from = fs_.image_->DataOf(inode_.image) + at;
      part = std::min(part, contents_.image_bytes - at);
    } else {
      // Never past where the image begins to show: a chunk's end is one.
      part = std::min<uint64_t>(part, sizeof kZeros);
    }
    if (Copy(out + done, from, part) != 0) return done > 0 ? static_cast<int64_t>(done) : -EFAULT;
    done += part;
  }
  return static_cast<int64_t>(size);
}

int64_t FileData::Write(uint64_t offset, const void* from, uint64_t size) {
  if (size == 0) return 0;
  if (offset >= kMaxFile) return -EFBIG;
  size = std::min(size, kMaxFile - offset);
  const auto* in = static_cast<const std::byte*>(from);
  int error = 0;
  uint64_t done = 0;
  while (error == 0 && done < size) {
    const uint64_t index = (offset + done) / kChunkBytes;
    const uint64_t start = (offset + done) % kChunkBytes;
    const uint64_t part = std::min(size - done, kChunkBytes - start);
    if (index > 0) error = CompleteFirst();
    bool fresh = false;
    std::byte* chunk =
        error == 0 ? ChunkForWrite(index, {start, start + part}, &fresh, &error) : nullptr;
    if (chunk == nullptr) break;
    if (Copy(chunk + start, in + done, part) != 0) {
      // What an earlier file left there must not show.
      if (fresh) Fill(chunk, index, {start, start + part});
      error = -EFAULT;
      break;
    }
    done += part;
  }
  if (done > 0) {
    inode_.modified = true;
    if (offset + done > inode_.size) inode_.size = offset + done;
  }
  return done > 0 ? static_cast<int64_t>(done) : error;
}

int64_t FileData::TakeOver(uint64_t offset, std::byte* chunk, uint64_t bytes, bool* taken) {
  *taken = false;
  const uint64_t index = offset / kChunkBytes;
  if (offset >= kMaxFile) return -EFBIG;
  // A file of one chunk has no more of it than it needs. What is there already stays where it is.
  const bool fits = fs_.IsWritable(chunk) && (index > 0 || bytes == kChunkBytes);
  if (!fits || ChunkAt(index) != nullptr) return Write(offset, chunk, bytes);
  if (index > 0) {
    const int error = CompleteFirst();
    if (error != 0) return error;
  }
  std::byte** slot = index > 0 ? SlotFor(index) : &contents_.first;
  if (slot == nullptr) return -ENOSPC;
  if (!fs_.ChargeBytes(kChunkBytes)) return -EDQUOT;
  contents_.allocated += kChunkBytes;
  Fill(chunk, index, {bytes, kChunkBytes});
  *slot = chunk;
  if (index == 0) contents_.first_bytes = kChunkBytes;
  *taken = true;
  inode_.modified = true;
  if (offset + bytes > inode_.size) inode_.size = offset + bytes;
  return static_cast<int64_t>(bytes);
}

void FileData::FreeChunksFrom(uint64_t index) {
  if (index == 0 && contents_.first != nullptr) {
    FreeChunk(contents_.first, contents_.first_bytes);
    fs_.bytes_.fetch_sub(contents_.first_bytes);
    contents_.allocated -= contents_.first_bytes;
    contents_.first = nullptr;
    contents_.first_bytes = 0;
  }
  for (uint64_t t = index / ChunkTable::kChunks; t < inode_.table_count; ++t) {
    ChunkTable*& table = contents_.tables[t];
    if (table == nullptr) continue;
    const uint64_t base = t * ChunkTable::kChunks;
    for (uint64_t i = index > base ? index - base : 0; i < ChunkTable::kChunks; ++i) {
      if (table->chunks[i] == nullptr) continue;
      FreeChunk(table->chunks[i], kChunkBytes);
      fs_.bytes_.fetch_sub(kChunkBytes);
      contents_.allocated -= kChunkBytes;
      table->chunks[i] = nullptr;
    }
    if (index > base) continue;
    fs_.objects_->Delete(table);
    table = nullptr;
  }
}

// What is cut off must read as zeros when the file grows again.
int FileData::ClearFrom(uint64_t index, uint64_t begin) {
  const uint64_t end = BytesOf(index);
  if (begin == 0 || begin >= end || ChunkAt(index) == nullptr) return 0;
  bool fresh = false;
  int error = 0;
  std::byte* chunk = ChunkForWrite(index, {begin, end}, &fresh, &error);
  if (chunk != nullptr) memset(chunk + begin, 0, end - begin);
  return error;
}

int FileData::Resize(uint64_t size) {
  if (size > kMaxFile) return -EFBIG;
  if (size < inode_.size) {
    const int error = ClearFrom(size / kChunkBytes, size % kChunkBytes);
    if (error != 0) return error;
    FreeChunksFrom((size + kChunkBytes - 1) / kChunkBytes);
    contents_.image_bytes = static_cast<uint32_t>(std::min<uint64_t>(contents_.image_bytes, size));
  }
  inode_.modified = true;
  inode_.size = size;
  return 0;
}

int FileData::Reserve(uint64_t offset, uint64_t size) {
  if (size == 0) return -EINVAL;
  if (offset >= kMaxFile || size > kMaxFile - offset) return -EFBIG;
  const uint64_t last = (offset + size - 1) / kChunkBytes;
  int error = 0;
  if (last > 0) error = CompleteFirst();
  for (uint64_t index = offset / kChunkBytes; error == 0 && index <= last; ++index) {
    // An empty range at the end: all of it is filled.
    const uint64_t end = std::min(kChunkBytes, offset + size - index * kChunkBytes);
    bool fresh = false;
    (void)ChunkForWrite(index, {end, end}, &fresh, &error);
  }
  return error;
}

int64_t FileData::Seek(uint64_t offset, bool hole) const {
  const uint64_t file_size = inode_.size;
  if (offset >= file_size) return -ENXIO;
  while (offset < file_size) {
    const uint64_t index = offset / kChunkBytes;
    const bool is_hole = ChunkAt(index) == nullptr && offset >= contents_.image_bytes;
    if (is_hole == hole) return static_cast<int64_t>(offset);
    offset = (index + 1) * kChunkBytes;
  }
  return hole ? static_cast<int64_t>(file_size) : -ENXIO;
}

void FileData::Clear() {
  FreeChunksFrom(0);
  if (inode_.table_count > 0) {
    fs_.objects_->Free(contents_.tables, inode_.table_count * sizeof(ChunkTable*));
  }
  contents_ = {};
  inode_.table_count = 0;
}

}  // namespace cordon::vfs
