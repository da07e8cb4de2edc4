#ifndef CORDON_VFS_FILESYSTEM_H_
#define CORDON_VFS_FILESYSTEM_H_

// The file plane's interface: inodes by number, names by directory. Everything that can be mounted
// implements it: the memory file system, /proc, /dev. It knows no wall and no descriptors.
//
// Errors are negative errno values of Linux. Names are bytes without '/' and NUL. All calls may be
// made from any process of the sandbox at the same time.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "vfs/frozen_program.h"

namespace cordon::vfs {

class FileSystem;

inline constexpr uint32_t kMaxGroups = 32;
struct Credentials {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t group_count = 0;
  uint32_t groups[kMaxGroups] = {};
};

struct Time {
  int64_t seconds;
  uint32_t nanoseconds;
};

struct Stat {
  uint64_t device;
  uint64_t inode;
  uint32_t mode;  // type and permissions, as st_mode
  uint32_t links;
  uint32_t uid;
  uint32_t gid;
  uint64_t rdev;  // of devices: major << 8 | minor
  int64_t size;
  int64_t blocks;  // of 512 bytes
  Time atime, mtime, ctime;
};

// An inode of a file system. Whoever stores one holds a reference (FileSystem::Reference, Release).
struct Node {
  FileSystem* fs = nullptr;
  uint64_t id = 0;
  bool operator==(const Node&) const = default;
};

// What SetAttributes changes; the caller has checked nothing, the file system checks ownership.
struct Attributes {
  enum Field : uint32_t { kMode = 1, kUid = 2, kGid = 4, kAtime = 8, kMtime = 16, kTimesNow = 32 };
  uint32_t fields = 0;
  uint32_t mode = 0;
  uint32_t uid = 0, gid = 0;
  Time atime{}, mtime{};
};

struct FileSystemStat {
  uint64_t total_bytes, free_bytes, total_files, free_files;
};

// Receives one directory entry; `cookie` continues after it. Returns false to stop before this
// entry.
struct DirectorySink {
  void* cookie;
  bool (*emit)(void* cookie, std::string_view name, uint64_t inode, uint32_t type, uint64_t next);
};

// How an entry of a directory differs from what the file system was made from.
enum Change : uint32_t {
  kChangeNew = 1,       // another file or directory, or one that was not there
  kChangeContents = 2,  // of the same file
  kChangeAttributes = 4,
  kChangeRemoved = 8,
  kChangeHides = 16,  // a new directory in the place of another: nothing of that one shows
};
struct ChangeSink {
  void* cookie;
  bool (*emit)(void* cookie, std::string_view name, uint32_t changes, uint64_t next);
};

// A program of the userland image: its compiled object, mapped (wasm/object.h).
struct Program {
  const std::byte* metadata = nullptr;
  uint64_t metadata_size = 0;
  const std::byte* image = nullptr;  // constants and code, executable
  // Where it goes on instead of starting; no header: it starts. The pages are writable and private.
  FrozenProgram frozen;
  std::byte* frozen_pages = nullptr;
};

// What the kernel attaches to an inode in memory: the pipe of a FIFO, file locks. Null until first
// set; the file system calls `release` with it when the inode goes.
struct Attachment {
  void* object = nullptr;
  void (*release)(void* object) = nullptr;
};

inline constexpr uint64_t kAppend = UINT64_MAX;  // offset of Write: at the end, atomically

class FileSystem {
 public:
  virtual Node Root() = 0;
  virtual void Reference(uint64_t id) = 0;
  virtual void Release(uint64_t id) = 0;

  // On success `out` is referenced. "." and ".." are never asked for by name: see Parent.
  virtual int Lookup(const Credentials& who, uint64_t directory, std::string_view name,
                     Node* out) = 0;
  virtual int Parent(uint64_t directory, Node* out) = 0;
  // A file, directory, FIFO, socket or device, by the type in `mode` (umask already applied).
  virtual int Create(const Credentials& who, uint64_t directory, std::string_view name,
                     uint32_t mode, uint64_t rdev, Node* out) = 0;
  // A regular file that no directory has, and never will; it goes with its last reference.
  virtual int CreateUnnamed(const Credentials& /*who*/, uint32_t /*mode*/, Node* /*out*/) {
    return -EOPNOTSUPP;
  }
  virtual int Symlink(const Credentials& who, uint64_t directory, std::string_view name,
                      std::string_view target) = 0;
  virtual int Link(const Credentials& who, uint64_t node, uint64_t directory,
                   std::string_view name) = 0;
  enum class Removal { kFile, kDirectory };
  virtual int Remove(const Credentials& who, uint64_t directory, std::string_view name,
                     Removal kind) = 0;
  // flags: RENAME_NOREPLACE 1, RENAME_EXCHANGE 2.
  virtual int Rename(const Credentials& who, uint64_t from, std::string_view from_name, uint64_t to,
                     std::string_view to_name, uint32_t flags) = 0;

  virtual int GetStat(uint64_t id, Stat* out) = 0;
  // st_mode alone: what a walk asks of every inode on its way.
  virtual uint32_t ModeOf(uint64_t id) {
    Stat stat = {};
    return GetStat(id, &stat) == 0 ? stat.mode : 0;
  }
  virtual int SetAttributes(const Credentials& who, uint64_t id, const Attributes& change) = 0;
  // Permission to do `access` (R_OK 4 | W_OK 2 | X_OK 1): 0 or -EACCES.
  virtual int Access(const Credentials& who, uint64_t id, uint32_t access) = 0;
  // Bytes, or an error. Write at kAppend stores the new end in `end`; otherwise offset + result.
  // Copies go in pieces without a lock held for more than 1 MiB. Memory of the caller may be
  // unmapped: see `Copy` below.
  virtual int64_t Read(uint64_t id, uint64_t offset, void* to, uint64_t size) = 0;
  virtual int64_t Write(uint64_t id, uint64_t offset, const void* from, uint64_t size,
                        uint64_t* end) = 0;
  virtual int Truncate(uint64_t id, uint64_t size) = 0;
  virtual int Allocate(uint64_t id, uint64_t offset, uint64_t size, bool keep_size) = 0;
  // Next data (whence 3) or hole (whence 4) from offset, or -ENXIO.
  virtual int64_t SeekHole(uint64_t id, uint64_t offset, int whence) = 0;
  // The length of the target, cut to size.
  virtual int64_t ReadLink(uint64_t id, char* to, uint64_t size) = 0;
  // Of a link that leads to a node and not to a path: 1 and the node, referenced. 0: it has a
  // target.
  virtual int FollowTo(uint64_t /*id*/, Node* /*out*/) { return 0; }
  // Lists without "." and ".."; cookie 0 is the beginning. Entries that stay are seen exactly once.
  virtual int List(uint64_t directory, uint64_t cookie, DirectorySink sink) = 0;
  // The same for entries that differ from the userland image, names that are gone and directories
  // with something of their own in them; kAll: everything, as new.
  enum class Extent { kChanges, kAll };
  virtual int ListChanges(uint64_t /*directory*/, Extent /*extent*/, uint64_t /*cookie*/,
                          const ChangeSink& /*sink*/) {
    return -EOPNOTSUPP;
  }
  virtual int StatFileSystem(FileSystemStat* out) = 0;

  // Null where there is nothing: not in memory, or not a program.
  virtual Attachment* AttachmentOf(uint64_t /*id*/) { return nullptr; }
  virtual bool ProgramOf(uint64_t /*id*/, Program* /*out*/) { return false; }
  // The program of the image that a file has the contents of. Reads all of the file if there is one
  // of its size.
  virtual bool CopiedProgramOf(uint64_t /*id*/, Program* /*out*/) { return false; }

 protected:
  ~FileSystem() = default;  // never deleted through this
};

// Copies between kernel data and memory of the caller, which may be a guest's and fault: 0 or
// -EFAULT. The kernel replaces it by one that survives faults; the default is memcpy.
using CopyFunction = int (*)(void* to, const void* from, uint64_t size);
void SetCopyFunction(CopyFunction copy);
int Copy(void* to, const void* from, uint64_t size);

}  // namespace cordon::vfs

#endif  // CORDON_VFS_FILESYSTEM_H_
