#ifndef CORDON_VFS_MEMORY_FS_H_
#define CORDON_VFS_MEMORY_FS_H_

// The file system in shared memory, on top of the userland image. Nothing is copied from the image
// at boot: a directory's inodes come into being when somebody looks them up, and file contents stay
// in the image until they are written.
//
// Locks: rename_lock_, then directories, then inodes (arena/lock.h).

#include <atomic>
#include <cstdint>

#include "arena/arena.h"
#include "arena/lock.h"
#include "vfs/filesystem.h"
#include "vfs/image.h"

namespace cordon::vfs {

struct Quotas {
  uint64_t max_files = 0;
  uint64_t max_bytes = 0;
  std::atomic<uint32_t>* limits_met = nullptr;  // control::Limit bits
};

struct Inode;

class MemoryFs final : public FileSystem {
 public:
  // Both arenas are shared memory: objects for inodes and names, blocks for contents. Null when
  // they are too small.
  static MemoryFs* Create(Arena* objects, Arena* blocks, const Image* image, const Quotas& quotas);

  Node Root() override;
  void Reference(uint64_t id) override;
  void Release(uint64_t id) override;
  int Lookup(const Credentials& who, uint64_t directory, std::string_view name, Node* out) override;
  int Parent(uint64_t directory, Node* out) override;
  int Create(const Credentials& who, uint64_t directory, std::string_view name, uint32_t mode,
             uint64_t rdev, Node* out) override;
  int Symlink(const Credentials& who, uint64_t directory, std::string_view name,
              std::string_view target) override;
  int Link(const Credentials& who, uint64_t node, uint64_t directory,
           std::string_view name) override;
  int Remove(const Credentials& who, uint64_t directory, std::string_view name,
             Removal kind) override;
  int Rename(const Credentials& who, uint64_t from, std::string_view from_name, uint64_t to,
             std::string_view to_name, uint32_t flags) override;
  int GetStat(uint64_t id, Stat* out) override;
  int SetAttributes(const Credentials& who, uint64_t id, const Attributes& change) override;
  int Access(const Credentials& who, uint64_t id, uint32_t access) override;
  int64_t Read(uint64_t id, uint64_t offset, void* to, uint64_t size) override;
  int64_t Write(uint64_t id, uint64_t offset, const void* from, uint64_t size,
                uint64_t* end) override;
  int Truncate(uint64_t id, uint64_t size) override;
  int Allocate(uint64_t id, uint64_t offset, uint64_t size, bool keep_size) override;
  int64_t SeekHole(uint64_t id, uint64_t offset, int whence) override;
  int64_t ReadLink(uint64_t id, char* to, uint64_t size) override;
  int List(uint64_t directory, uint64_t cookie, DirectorySink sink) override;
  int StatFileSystem(FileSystemStat* out) override;
  Attachment* AttachmentOf(uint64_t id) override;
  bool ProgramOf(uint64_t id, Program* out) override;

  // Makes /dev as it is on every Linux.
  int PopulateDevices();

 private:
  friend class FileData;
  MemoryFs(Arena* objects, Arena* blocks, const Image* image, const Quotas& quotas)
      : objects_(objects), blocks_(blocks), image_(image), quotas_(quotas) {}

  Inode* NewInode(uint32_t mode, const Credentials& who);
  Inode* FromImage(uint32_t number);
  void Free(Inode* inode);
  void Unref(Inode* inode);
  // Under the directory's lock.
  Inode* Find(Inode* directory, std::string_view name, int* error);
  int Materialise(Inode* directory);
  int Insert(Inode* directory, std::string_view name, Inode* inode);
  void Erase(Inode* directory, std::string_view name);
  int GrowDirectory(Inode* directory);
  int AddEntry(const Credentials& who, Inode* directory, std::string_view name, Inode* inode);
  int CheckRemoval(const Credentials& who, const Inode& directory, const Inode& victim);
  int RenameLocked(const Credentials& who, Inode* from, std::string_view from_name, Inode* to,
                   std::string_view to_name, uint32_t flags);

  Arena* objects_;
  Arena* blocks_;
  const Image* image_;
  Quotas quotas_;
  Mutex rename_lock_;
  std::atomic<uint64_t> files_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> next_number_{1};
  Inode* root_ = nullptr;
};

}  // namespace cordon::vfs

#endif  // CORDON_VFS_MEMORY_FS_H_
