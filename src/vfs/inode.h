#ifndef CORDON_VFS_INODE_H_
#define CORDON_VFS_INODE_H_

// Private to the memory file system: what an inode holds, and the contents of regular files.

#include <cstdint>

#include "arena/lock.h"
#include "vfs/memory_fs.h"

namespace cordon::vfs {

inline constexpr uint32_t kNoImage = UINT32_MAX;
inline constexpr uint64_t kChunkBytes = 64 * 1024;
inline constexpr uint32_t kMaxNameBytes = 255;
inline constexpr uint64_t kNsInSecond = 1'000'000'000;

struct DirectoryEntry {
  Inode* inode;  // null: removed
  char* name;
  uint64_t cookie;  // ascending
  uint32_t name_size;
  uint32_t hash;
};

// Entries in the order of their making, and a hash table of their places. Removed ones stay until
// the array is rebuilt, so that a listing under way keeps its place; cookies never change.
struct Directory {
  DirectoryEntry* entries = nullptr;
  uint32_t* table = nullptr;  // place + 1; 2 × capacity, open addressing
  uint32_t capacity = 0;
  uint32_t used = 0;  // entries, with removed ones
  uint32_t alive = 0;
  uint64_t next_cookie = 1;
  Inode* parent = nullptr;  // referenced: `..` works in a directory that was removed
  bool in_image = false;    // names that are not here may be in the image
};

// The entry of a name; null if the directory's own entries have none.
[[nodiscard]] DirectoryEntry* EntryOf(const Directory& directory, std::string_view name);

// Pointers to the chunks after the first: 32 MiB of a file.
struct ChunkTable {
  static constexpr uint64_t kChunks = 512;
  std::byte* chunks[kChunks];
};

// Contents: chunks of 64 KiB, null where there is a hole or the image's contents show through. A
// file that fits into its first chunk has a smaller one, a power of two.
struct Contents {
  std::byte* first = nullptr;
  ChunkTable** tables = nullptr;  // Inode::table_count of them
  uint64_t allocated = 0;         // bytes of all chunks
  uint32_t first_bytes = 0;       // size of `first`
  uint32_t image_bytes = 0;       // so many leading bytes are the image's where there is no chunk
};

// Locks: `lock` is of rank kDirectory in a directory and kInode elsewhere. The parent of a
// directory changes only under MemoryFs::rename_lock_.
struct Inode {
  std::atomic<uint32_t> references{1};
  std::atomic<uint32_t> links{1};
  RwLock lock;
  std::atomic<uint32_t> mode{0};
  std::atomic<uint32_t> uid{0}, gid{0};
  uint64_t number = 0;
  std::atomic<uint64_t> size{0};
  // Nanoseconds since 1970.
  std::atomic<int64_t> atime{0}, mtime{0}, ctime{0};
  uint32_t image = kNoImage;  // its inode in the image
  bool counted = false;       // in the quota of files
  bool modified = false;      // contents are no longer the image's
  Part part = Part::kTree;
  uint32_t table_count = 0;  // of its contents
  uint32_t check_names = 0;  // for CheckFileSystem only
  Attachment attachment;
  union {
    Contents contents;
    Directory* directory;  // its own; never null in a directory
    char* target;
    uint64_t rdev;  // of a device
  };
  Inode() : contents() {}

  [[nodiscard]] bool is(uint32_t type) const {
    return (mode.load(std::memory_order_relaxed) & 0170000) == type;
  }
};
// There are as many as files, and a fork or snapshot copies them all.
static_assert(sizeof(Inode) <= 128, "one size class of the arena");

[[nodiscard]] inline Inode* InodeOf(uint64_t id) {
  return reinterpret_cast<Inode*>(id);
}
[[nodiscard]] inline uint64_t IdOf(const Inode* inode) {
  return reinterpret_cast<uint64_t>(inode);
}
// Modification and change of status, now.
void Touch(Inode* inode);

// Reading and changing contents; the inode's lock is held, for reading at least.
class FileData {
 public:
  FileData(MemoryFs& fs, Inode& inode) : fs_(fs), inode_(inode), contents_(inode.contents) {}
  int64_t Read(uint64_t offset, void* to, uint64_t size) const;
  int64_t Write(uint64_t offset, const void* from, uint64_t size);
  // MemoryFs::TakeOver.
  int64_t TakeOver(uint64_t offset, std::byte* chunk, uint64_t bytes, bool* taken);
  int Resize(uint64_t size);
  int Reserve(uint64_t offset, uint64_t size);
  [[nodiscard]] int64_t Seek(uint64_t offset, bool hole) const;
  void Clear();

 private:
  struct Range {
    uint64_t begin, end;  // within a chunk
  };
  [[nodiscard]] std::byte* ChunkAt(uint64_t index) const;
  [[nodiscard]] uint64_t BytesOf(uint64_t index) const {
    return index == 0 ? contents_.first_bytes : kChunkBytes;
  }
  // The chunk with room up to `wanted.end`; what is in `wanted` may be anything if it is new.
  std::byte* ChunkForWrite(uint64_t index, Range wanted, bool* fresh, int* error);
  int GrowFirst(uint64_t bytes, Range wanted);
  // A file that grows beyond its first chunk gets that in full size.
  int CompleteFirst();
  int ClearFrom(uint64_t index, uint64_t begin);
  std::byte** SlotFor(uint64_t index);
  std::byte* NewChunk(uint64_t bytes, uint64_t charge, int* error);
  void Fill(std::byte* chunk, uint64_t index, Range part) const;
  void FreeChunk(std::byte* chunk, uint64_t bytes);
  void FreeChunksFrom(uint64_t index);

  MemoryFs& fs_;
  Inode& inode_;
  Contents& contents_;
};

}  // namespace cordon::vfs

#endif  // CORDON_VFS_INODE_H_
