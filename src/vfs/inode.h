#ifndef CORDON_VFS_INODE_H_
#define CORDON_VFS_INODE_H_

// Private to the memory file system: what an inode holds, and the contents of regular files.

#include <cstdint>

#include "arena/lock.h"
#include "vfs/memory_fs.h"

namespace cordon::vfs {

inline constexpr uint32_t kNoImage = UINT32_MAX;
inline constexpr uint64_t kChunkBytes = 64 * 1024;

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
  Inode* parent = nullptr;
  bool in_image = false;  // names that are not here may be in the image
};

// Contents: chunks of 64 KiB, null where there is a hole; a file of one chunk has a smaller one, a
// power of two.
struct Contents {
  std::byte** chunks = nullptr;
  uint32_t chunk_count = 0;  // slots in `chunks`
  uint32_t first_bytes = 0;  // size of chunk 0
};

struct Inode {
  std::atomic<uint32_t> references{1};
  std::atomic<uint32_t> links{1};
  Mutex lock;
  uint32_t mode = 0;
  uint32_t uid = 0, gid = 0;
  uint64_t number = 0;
  uint64_t size = 0;
  uint64_t rdev = 0;
  uint64_t atime = 0, mtime = 0, ctime = 0;  // nanoseconds since 1970
  uint32_t image = kNoImage;                 // inode of the image whose contents these still are
  Attachment attachment;
  union {
    Directory directory;
    Contents contents;
    char* target;
  };
  Inode() : directory() {}
};

[[nodiscard]] inline Inode* InodeOf(uint64_t id) {
  return reinterpret_cast<Inode*>(id);
}

// Reading and writing of contents; the inode's lock is held.
class FileData {
 public:
  FileData(MemoryFs& fs, Inode& inode) : fs_(fs), inode_(inode) {}
  int64_t Read(uint64_t offset, void* to, uint64_t size);
  int64_t Write(uint64_t offset, const void* from, uint64_t size);
  int Resize(uint64_t size);
  int Reserve(uint64_t offset, uint64_t size);
  int64_t Seek(uint64_t offset, bool hole);
  [[nodiscard]] uint64_t AllocatedBytes() const;
  void Clear();
  // Copies contents out of the image before they change.
  int Own();

 private:
  std::byte* ChunkForWrite(uint64_t index, uint64_t bytes, int* error);
  int GrowTable(uint64_t index);
  int GrowFirst(uint64_t bytes);
  bool Charge(uint64_t bytes);
  void FreeChunk(std::byte* chunk, uint64_t bytes);
  [[nodiscard]] uint64_t BytesOf(uint64_t index) const {
    return index == 0 ? inode_.contents.first_bytes : kChunkBytes;
  }

  MemoryFs& fs_;
  Inode& inode_;
};

}  // namespace cordon::vfs

#endif  // CORDON_VFS_INODE_H_
