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

// The word that is 1 while somebody wants to know of changes, and that the first one makes 2
// (control::FileChanges). Of every file system of this process and its clones; null: nobody.
void SetChangeWord(std::atomic<uint32_t>* word);

struct Inode;

// Parts of the one tree that programs see as file systems of their own, each with its device: what
// is made in a directory belongs to its part, and nothing is renamed or linked out of it. Quota,
// snapshots and exports know one file system.
enum class Part : uint8_t { kTree = 1, kSharedMemory = 3 };  // /dev/shm, tmpfs; 2 is /proc

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
  int CreateUnnamed(const Credentials& who, uint32_t mode, Node* out) override;
  int Symlink(const Credentials& who, uint64_t directory, std::string_view name,
              std::string_view target) override;
  int Link(const Credentials& who, uint64_t node, uint64_t directory,
           std::string_view name) override;
  int Remove(const Credentials& who, uint64_t directory, std::string_view name,
             Removal kind) override;
  int Rename(const Credentials& who, uint64_t from, std::string_view from_name, uint64_t to,
             std::string_view to_name, uint32_t flags) override;
  int GetStat(uint64_t id, Stat* out) override;
  uint32_t ModeOf(uint64_t id) override;
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
  int ListChanges(uint64_t directory, Extent extent, uint64_t cookie,
                  const ChangeSink& sink) override;
  int StatFileSystem(FileSystemStat* out) override;
  Attachment* AttachmentOf(uint64_t id) override;
  bool ProgramOf(uint64_t id, Program* out) override;
  bool CopiedProgramOf(uint64_t id, Program* out) override;

  // From now on contents are written to `blocks`. What lies in earlier arenas belongs to snapshots
  // and forks too: it is read where it is and copied when it is written. Nobody uses the file
  // system meanwhile.
  void BeginGeneration(Arena* blocks) { blocks_ = blocks; }

  // Chunks of contents that no file has yet: somebody who writes to the arena's memory by another
  // way fills them, and then a file takes them over. Nobody reads them before that.
  [[nodiscard]] std::byte* NewLooseChunk();  // null: there is no room
  void FreeLooseChunk(std::byte* chunk);
  // Where a new one lies in the blocks' memory.
  [[nodiscard]] uint64_t PlaceOf(const std::byte* chunk) const;
  // The chunk, of which `bytes` were filled, becomes what a file has at `offset`, a multiple of the
  // size of chunks. *taken: the file keeps it; otherwise its bytes were copied, and it stays the
  // caller's, as with errors. As Write: how many bytes, or an error.
  int64_t TakeOver(uint64_t id, uint64_t offset, std::byte* chunk, uint64_t bytes, bool* taken);

  // Makes /dev as it is on every Linux.
  int PopulateDevices();
  [[nodiscard]] uint64_t inodes_in_memory() const { return inodes_.load(); }

 private:
  friend class FileData;
  friend class Checker;
  struct RenameEnds;

  MemoryFs(Arena* objects, Arena* blocks, const Image* image, const Quotas& quotas)
      : objects_(objects), blocks_(blocks), image_(image), quotas_(quotas) {}

  [[nodiscard]] Inode* AllocateInode(uint32_t mode);
  Inode* NewInode(uint32_t mode, const Credentials& who, Part part);
  // A reference on the inode that stands for one of the image.
  Inode* FromImage(uint32_t number);
  Inode* CopyOfImage(uint32_t number);
  void Free(Inode* inode);
  void Unref(Inode* inode);
  bool ChargeBytes(uint64_t bytes);
  // Of this generation.
  [[nodiscard]] bool IsWritable(const std::byte* chunk) const;
  int MakeDevice(const Credentials& who, uint64_t directory, std::string_view name, uint32_t mode,
                 uint64_t rdev, std::string_view target);

  [[nodiscard]] bool HasContentsOf(uint64_t id, uint32_t image_inode);

  // Under the directory's lock, exclusive.
  Inode* Find(Inode* directory, std::string_view name, int* error);
  int Materialise(Inode* directory);
  int Insert(Inode* directory, std::string_view name, Inode* inode);
  void Erase(Inode* directory, std::string_view name);
  int GrowDirectory(Inode* directory);
  int AddEntry(const Credentials& who, Inode* directory, std::string_view name, Inode* inode);
  [[nodiscard]] bool IsEmpty(const Inode& directory) const;
  int CheckRemoval(const Credentials& who, const Inode& directory, const Inode& victim,
                   Removal kind);
  void DropLink(Inode* inode);

  int RemoveFile(const Credentials& who, Inode* directory, std::string_view name);
  int RemoveDirectory(const Credentials& who, Inode* directory, std::string_view name);
  int FindEnds(RenameEnds* ends, uint32_t flags);
  int CheckRename(const Credentials& who, const RenameEnds& ends, uint32_t flags);
  int Exchange(const RenameEnds& ends);
  int Replace(const RenameEnds& ends);
  void SetParent(Inode* child, Inode* parent);

  Arena* objects_;
  Arena* blocks_;
  const Image* image_;
  Quotas quotas_;
  Mutex rename_lock_;                // parents of directories, and which directories exist
  std::atomic<uint64_t> files_{0};   // in the quota
  std::atomic<uint64_t> bytes_{0};   // of all chunks
  std::atomic<uint64_t> inodes_{0};  // in memory
  std::atomic<uint64_t> next_number_{1};
  Inode* root_ = nullptr;
  // Inodes of the image with several names, by their slot, referenced; null until one is met.
  Mutex shared_lock_;
  Inode** shared_ = nullptr;
};

// Verifies what must hold while nothing changes: counts of links and entries, hash tables, parents,
// quotas, and that no inode is lost. `unlinked` inodes without a name are still open. Writes the
// violations, a line each, to `text`, and returns their number.
int CheckFileSystem(MemoryFs& fs, uint64_t unlinked, char* text, uint64_t size);

}  // namespace cordon::vfs

#endif  // CORDON_VFS_MEMORY_FS_H_
