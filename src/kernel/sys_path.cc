// Calls on paths.

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/open_file.h"
#include "kernel/path_calls.h"
#include "kernel/syscall.h"
#include "vfs/path_walk.h"

namespace cordon::kernel {
namespace {

// A referenced node; released when it goes.
struct HeldNode {
  vfs::Node node;
  HeldNode() = default;
  HeldNode(const HeldNode&) = delete;
  HeldNode& operator=(const HeldNode&) = delete;
  ~HeldNode() {
    if (node.fs != nullptr) node.fs->Release(node.id);
  }
  vfs::Node Take() {
    const vfs::Node taken = node;
    node = {};
    return taken;
  }
};

// Where a relative path begins. Not referenced: the descriptor or the process holds it.
int StartOf(uint32_t descriptor, std::string_view path, vfs::Node* start) {
  *start = WorkingDirectory();
  if (static_cast<int32_t>(descriptor) == AT_FDCWD || (!path.empty() && path[0] == '/')) return 0;
  const OpenFile* file = FileOf(descriptor);
  if (file == nullptr) return -EBADF;
  if (file->node.fs == nullptr) return -ENOTDIR;
  *start = file->node;
  return 0;
}

int WalkFrom(uint32_t descriptor, const GuestPath& path, vfs::WalkMode mode, HeldNode* out) {
  if (path.length < 0) return path.length;
  vfs::Node start;
  const int error = StartOf(descriptor, path.view(), &start);
  if (error != 0) return error;
  const Process& process = Current();
  return vfs::Walk(TheKernel().mounts, process.who, process.root, start, path.view(), mode,
                   &out->node);
}

struct Parent {
  HeldNode directory;
  vfs::LastName name;
};

int WalkToParent(uint32_t descriptor, const GuestPath& path, Parent* out) {
  if (path.length < 0) return path.length;
  vfs::Node start;
  const int error = StartOf(descriptor, path.view(), &start);
  if (error != 0) return error;
  const Process& process = Current();
  return vfs::WalkToParent(TheKernel().mounts, process.who, process.root, start, path.view(),
                           &out->directory.node, &out->name);
}

// What the guest's libc calls struct kstat (guest/libc/arch/wasm32/kstat.h).
struct GuestStat {
  uint64_t device, inode;
  uint32_t mode, links, uid, gid;
  uint64_t rdev;
  int64_t size;
  int32_t block_size, padding;
  int64_t blocks;
  struct {
    int64_t seconds;
    int32_t nanoseconds, padding;
  } times[3];
};
static_assert(sizeof(GuestStat) == 112);

int StoreStat(uint32_t address, const vfs::Stat& from) {
  GuestStat stat = {};
  stat.device = from.device;
  stat.inode = from.inode;
  stat.mode = from.mode;
  stat.links = from.links;
  stat.uid = from.uid;
  stat.gid = from.gid;
  stat.rdev = from.rdev;
  stat.size = from.size;
  stat.block_size = 4096;
  stat.blocks = from.blocks;
  const vfs::Time* times[3] = {&from.atime, &from.mtime, &from.ctime};
  for (int i = 0; i < 3; ++i) {
    stat.times[i].seconds = times[i]->seconds;
    stat.times[i].nanoseconds = static_cast<int32_t>(times[i]->nanoseconds);
  }
  return Store(address, stat);
}

}  // namespace

int64_t OpenAt(uint32_t descriptor, const GuestPath& path, uint32_t flags, uint32_t mode) {
  HeldNode found;
  const vfs::WalkMode walk =
      (flags & O_NOFOLLOW) != 0 || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)
          ? vfs::kNoFollow
          : vfs::kFollow;
  int error = WalkFrom(descriptor, path, walk, &found);
  bool created = false;
  const Process& process = Current();
  if (error == 0 && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) return -EEXIST;
  if (error == -ENOENT && (flags & O_CREAT) != 0) {
    // A dangling link is created through, as Linux does.
    vfs::Node start;
    if ((error = StartOf(descriptor, path.view(), &start)) != 0) return error;
    error = vfs::WalkAndCreate(TheKernel().mounts, process.who, process.root, start, path.view(),
                               S_IFREG | (mode & 07777 & ~process.umask), &found.node);
    created = error == 0;
    if (error == -EEXIST && (flags & O_EXCL) == 0) error = WalkFrom(descriptor, path, walk, &found);
  }
  if (error != 0) return error;
  vfs::FileSystem& fs = *found.node.fs;
  vfs::Stat stat;
  if ((error = fs.GetStat(found.node.id, &stat)) != 0) return error;
  const uint32_t access = flags & O_ACCMODE;
  if (S_ISLNK(stat.mode) && (flags & O_PATH) == 0) return -ELOOP;
  if ((flags & O_DIRECTORY) != 0 && !S_ISDIR(stat.mode)) return -ENOTDIR;
  if (S_ISDIR(stat.mode) && (access != O_RDONLY || (flags & O_CREAT) != 0)) return -EISDIR;
  if (!created && (flags & O_PATH) == 0) {
    error = fs.Access(
        process.who, found.node.id,
        (access != O_WRONLY ? 4u : 0u) | (access != O_RDONLY || (flags & O_TRUNC) != 0 ? 2u : 0u));
    if (error != 0) return error;
    if ((flags & O_TRUNC) != 0 && S_ISREG(stat.mode) &&
        (error = fs.Truncate(found.node.id, 0)) != 0)
      return error;
  }
  OpenFile* file = nullptr;
  error = OpenNode(found.Take(), flags & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_PATH | O_NOCTTY),
                   &file);
  return error != 0 ? error : Install(file, 0, (flags & O_CLOEXEC) != 0);
}

int64_t StatDescriptor(uint32_t descriptor, vfs::Stat* out) {
  const OpenFile* file = FileOf(descriptor);
  return file == nullptr ? -EBADF : StatOpenFile(*file, out);
}

int64_t StatAt(uint32_t descriptor, const GuestPath& path, uint32_t flags, vfs::Stat* out) {
  if (path.length == 0 && (flags & AT_EMPTY_PATH) != 0) {
    if (static_cast<int32_t>(descriptor) != AT_FDCWD) return StatDescriptor(descriptor, out);
    {
      const vfs::Node directory = WorkingDirectory();
      return directory.fs->GetStat(directory.id, out);
    }
  }
  HeldNode found;
  const int error = WalkFrom(
      descriptor, path, (flags & AT_SYMLINK_NOFOLLOW) != 0 ? vfs::kNoFollow : vfs::kFollow, &found);
  return error != 0 ? error : found.node.fs->GetStat(found.node.id, out);
}

int64_t MakeNodeAt(uint32_t descriptor, const GuestPath& path, uint32_t mode) {
  Parent parent;
  const int error = WalkToParent(descriptor, path, &parent);
  if (error != 0) return error;
  if (parent.name.is_dots()) return -EEXIST;
  if (parent.name.trailing_slash && !S_ISDIR(mode)) return -ENOENT;
  vfs::Node made;
  vfs::FileSystem& fs = *parent.directory.node.fs;
  const int failed = fs.Create(Current().who, parent.directory.node.id, parent.name.view(),
                               mode & ~Current().umask, 0, &made);
  if (failed != 0) return failed;
  fs.Release(made.id);
  return 0;
}

int64_t UnlinkAt(uint32_t descriptor, const GuestPath& path, uint32_t flags) {
  const bool directory = (flags & AT_REMOVEDIR) != 0;
  Parent parent;
  const int error = WalkToParent(descriptor, path, &parent);
  if (error != 0) return error;
  if (parent.name.is_dots())
    return !directory ? -EISDIR : parent.name.view() == "." ? -EINVAL : -ENOTEMPTY;
  if (parent.name.trailing_slash && !directory) return -ENOTDIR;
  return parent.directory.node.fs->Remove(
      Current().who, parent.directory.node.id, parent.name.view(),
      directory ? vfs::FileSystem::Removal::kDirectory : vfs::FileSystem::Removal::kFile);
}

namespace {

// Why nothing but a directory can be made under a name with a slash after it.
int RefuseSlash(const Parent& place) {
  HeldNode found;
  const int error = place.directory.node.fs->Lookup(Current().who, place.directory.node.id,
                                                    place.name.view(), &found.node);
  return error == 0 ? -EEXIST : error;
}

}  // namespace

int64_t SymlinkAt(const GuestPath& target, uint32_t descriptor, const GuestPath& path) {
  Parent parent;
  if (target.length < 0) return target.length;
  if (target.length == 0) return -ENOENT;
  const int error = WalkToParent(descriptor, path, &parent);
  if (error != 0) return error;
  if (parent.name.is_dots()) return -EEXIST;
  if (parent.name.trailing_slash) return RefuseSlash(parent);
  return parent.directory.node.fs->Symlink(Current().who, parent.directory.node.id,
                                           parent.name.view(), target.view());
}

int64_t LinkAt(uint32_t from, const GuestPath& from_path, uint32_t to, const GuestPath& to_path,
               uint32_t flags) {
  HeldNode found;
  int error = WalkFrom(from, from_path,
                       (flags & AT_SYMLINK_FOLLOW) != 0 ? vfs::kFollow : vfs::kNoFollow, &found);
  if (error != 0) return error;
  Parent parent;
  if ((error = WalkToParent(to, to_path, &parent)) != 0) return error;
  if (parent.name.is_dots()) return -EEXIST;
  if (parent.name.trailing_slash) return RefuseSlash(parent);
  if (parent.directory.node.fs != found.node.fs) return -EXDEV;
  return found.node.fs->Link(Current().who, found.node.id, parent.directory.node.id,
                             parent.name.view());
}

namespace {

int RequireDirectory(const Parent& place) {
  HeldNode found;
  vfs::FileSystem& fs = *place.directory.node.fs;
  const int error =
      fs.Lookup(Current().who, place.directory.node.id, place.name.view(), &found.node);
  if (error != 0) return error;
  return S_ISDIR(found.node.fs->ModeOf(found.node.id)) ? 0 : -ENOTDIR;
}

}  // namespace

int64_t RenameAt(uint32_t from, const GuestPath& from_path, uint32_t to, const GuestPath& to_path,
                 uint32_t flags) {
  Parent source;
  Parent target;
  int error = WalkToParent(from, from_path, &source);
  if (error == 0) error = WalkToParent(to, to_path, &target);
  if (error != 0) return error;
  if (source.name.is_dots() || target.name.is_dots()) return -EBUSY;
  if (source.directory.node.fs != target.directory.node.fs) return -EXDEV;
  if (source.name.trailing_slash || target.name.trailing_slash) error = RequireDirectory(source);
  if (error != 0) return error;
  return source.directory.node.fs->Rename(Current().who, source.directory.node.id,
                                          source.name.view(), target.directory.node.id,
                                          target.name.view(), flags);
}

int64_t ReadLinkAt(uint32_t descriptor, const GuestPath& path, uint32_t address, uint32_t size) {
  HeldNode found;
  const int error = WalkFrom(descriptor, path, vfs::kNoFollow, &found);
  if (error != 0) return error;
  char text[4096];
  const int64_t length =
      found.node.fs->ReadLink(found.node.id, text, std::min<uint32_t>(size, sizeof text));
  if (length < 0) return length;
  return CopyOut(address, text, static_cast<uint32_t>(length)) != 0 ? -EFAULT : length;
}

int64_t ChangeAt(uint32_t descriptor, const GuestPath& path, uint32_t flags,
                 const vfs::Attributes& change) {
  HeldNode found;
  const int error = WalkFrom(
      descriptor, path, (flags & AT_SYMLINK_NOFOLLOW) != 0 ? vfs::kNoFollow : vfs::kFollow, &found);
  return error != 0 ? error : found.node.fs->SetAttributes(Current().who, found.node.id, change);
}

int64_t ChangeDescriptor(uint32_t descriptor, const vfs::Attributes& change) {
  const OpenFile* file = FileOf(descriptor);
  if (file == nullptr) return -EBADF;
  return file->node.fs == nullptr
             ? -EINVAL
             : file->node.fs->SetAttributes(Current().who, file->node.id, change);
}

namespace {

int64_t SysOpenat(const uint64_t* slots) {
  return OpenAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), Arg(slots, 2), Arg(slots, 3));
}

// A file without a name, in memory as all are. Its name is for nobody.
int64_t SysMemfdCreate(const uint64_t* slots) {
  constexpr uint32_t kCloseOnExec = 1, kAllowSealing = 2, kNoExecSeal = 8, kExec = 16;
  constexpr uint32_t kMaxNameBytes = 249;
  const uint32_t flags = Arg(slots, 1);
  if ((flags & ~(kCloseOnExec | kAllowSealing | kNoExecSeal | kExec)) != 0) return -EINVAL;
  char name[kMaxNameBytes + 1];
  const int32_t length = CopyString(name, Arg(slots, 0), sizeof name);
  if (length < 0) return length == -EFAULT ? -EFAULT : -EINVAL;
  vfs::Node node;
  int32_t error = TheKernel().files->CreateUnnamed(Current().who, S_IFREG | 0777, &node);
  OpenFile* file = nullptr;
  if (error == 0) error = OpenNode(node, O_RDWR, &file);
  return error != 0 ? error : Install(file, 0, (flags & kCloseOnExec) != 0);
}

int64_t SysFstat(const uint64_t* slots) {
  vfs::Stat stat = {};
  const int64_t error = StatDescriptor(Arg(slots, 0), &stat);
  return error != 0 ? error : StoreStat(Arg(slots, 1), stat);
}
int64_t SysFstatat(const uint64_t* slots) {
  vfs::Stat stat = {};
  const int64_t error = StatAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), Arg(slots, 3), &stat);
  return error != 0 ? error : StoreStat(Arg(slots, 2), stat);
}

int64_t SysMkdirat(const uint64_t* slots) {
  return MakeNodeAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), S_IFDIR | (Arg(slots, 2) & 01777));
}
int64_t SysMknodat(const uint64_t* slots) {
  const uint32_t type = Arg(slots, 2) & S_IFMT;
  if (type != 0 && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK) return -EPERM;
  return MakeNodeAt(Arg(slots, 0), GuestPath(Arg(slots, 1)),
                    (type == 0 ? S_IFREG : type) | (Arg(slots, 2) & 07777));
}
int64_t SysUnlinkat(const uint64_t* slots) {
  return UnlinkAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), Arg(slots, 2));
}
int64_t SysSymlinkat(const uint64_t* slots) {
  return SymlinkAt(GuestPath(Arg(slots, 0)), Arg(slots, 1), GuestPath(Arg(slots, 2)));
}
int64_t SysLinkat(const uint64_t* slots) {
  return LinkAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), Arg(slots, 2), GuestPath(Arg(slots, 3)),
                Arg(slots, 4));
}
int64_t SysRenameat(const uint64_t* slots) {
  return RenameAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), Arg(slots, 2), GuestPath(Arg(slots, 3)),
                  0);
}
int64_t SysRenameat2(const uint64_t* slots) {
  return Arg(slots, 4) > 2 ? -EINVAL
                           : RenameAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), Arg(slots, 2),
                                      GuestPath(Arg(slots, 3)), Arg(slots, 4));
}
int64_t SysReadlinkat(const uint64_t* slots) {
  return ReadLinkAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), Arg(slots, 2), Arg(slots, 3));
}

int64_t Accessible(uint32_t descriptor, const GuestPath& path, uint32_t mode, uint32_t flags) {
  HeldNode found;
  const int error = WalkFrom(
      descriptor, path, (flags & AT_SYMLINK_NOFOLLOW) != 0 ? vfs::kNoFollow : vfs::kFollow, &found);
  if (error != 0) return error;
  return mode == 0 ? 0 : found.node.fs->Access(Current().who, found.node.id, mode & 7);
}
int64_t SysFaccessat(const uint64_t* slots) {
  return Accessible(Arg(slots, 0), GuestPath(Arg(slots, 1)), Arg(slots, 2), 0);
}
int64_t SysFaccessat2(const uint64_t* slots) {
  return Accessible(Arg(slots, 0), GuestPath(Arg(slots, 1)), Arg(slots, 2), Arg(slots, 3));
}

int64_t ChangeDirectory(HeldNode* found) {
  Process& process = Current();
  vfs::Stat stat;
  int error = found->node.fs->GetStat(found->node.id, &stat);
  if (error == 0 && !S_ISDIR(stat.mode)) error = -ENOTDIR;
  if (error == 0) error = found->node.fs->Access(process.who, found->node.id, 1);
  if (error != 0) return error;
  const MutexLock lock(process.descriptor_lock, LockRank::kDescriptorTable);
  std::swap(process.directory, found->node);
  return 0;
}

int64_t SysChdir(const uint64_t* slots) {
  const GuestPath path(Arg(slots, 0));
  HeldNode found;
  const int error = WalkFrom(static_cast<uint32_t>(AT_FDCWD), path, vfs::kFollow, &found);
  return error != 0 ? error : ChangeDirectory(&found);
}

int64_t SysFchdir(const uint64_t* slots) {
  const OpenFile* file = FileOf(Arg(slots, 0));
  if (file == nullptr) return -EBADF;
  if (file->node.fs == nullptr) return -ENOTDIR;
  HeldNode found;
  found.node = file->node;
  found.node.fs->Reference(found.node.id);
  return ChangeDirectory(&found);
}

int64_t SysGetcwd(const uint64_t* slots) {
  char text[4096];
  const int64_t size =
      vfs::PathOf(TheKernel().mounts, Current().root, WorkingDirectory(), text, sizeof text);
  if (size < 0) return size;
  if (static_cast<uint64_t>(size) > Arg(slots, 1)) return -ERANGE;
  return CopyOut(Arg(slots, 0), text, static_cast<uint32_t>(size)) != 0 ? -EFAULT : size;
}

vfs::Attributes ModeChange(uint32_t mode) {
  vfs::Attributes change;
  change.fields = vfs::Attributes::kMode;
  change.mode = mode & 07777;
  return change;
}
vfs::Attributes OwnerChange(uint32_t uid, uint32_t gid) {
  vfs::Attributes change;
  change.fields = (uid != UINT32_MAX ? vfs::Attributes::kUid : 0u) |
                  (gid != UINT32_MAX ? vfs::Attributes::kGid : 0u);
  change.uid = uid;
  change.gid = gid;
  return change;
}
int64_t SysFchmod(const uint64_t* slots) {
  return ChangeDescriptor(Arg(slots, 0), ModeChange(Arg(slots, 1)));
}
int64_t SysFchmodat(const uint64_t* slots) {
  return ChangeAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), 0, ModeChange(Arg(slots, 2)));
}
int64_t SysFchown(const uint64_t* slots) {
  return ChangeDescriptor(Arg(slots, 0), OwnerChange(Arg(slots, 1), Arg(slots, 2)));
}
int64_t SysFchownat(const uint64_t* slots) {
  return ChangeAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), Arg(slots, 4),
                  OwnerChange(Arg(slots, 2), Arg(slots, 3)));
}

int64_t SysUtimensat(const uint64_t* slots) {
  struct {
    int64_t seconds;
    int32_t nanoseconds, padding;
  } times[2] = {};
  constexpr int32_t kNow = 0x3fffffff;
  constexpr int32_t kOmit = 0x3ffffffe;
  vfs::Attributes change;
  if (Arg(slots, 2) == 0) {
    change.fields = vfs::Attributes::kAtime | vfs::Attributes::kMtime | vfs::Attributes::kTimesNow;
  } else {
    if (CopyIn(times, Arg(slots, 2), sizeof times) != 0) return -EFAULT;
    const uint64_t now = platform::ClockNs(0);
    vfs::Time* fields[2] = {&change.atime, &change.mtime};
    for (int i = 0; i < 2; ++i) {
      if (times[i].nanoseconds == kOmit) continue;
      change.fields |= i == 0 ? vfs::Attributes::kAtime : vfs::Attributes::kMtime;
      *fields[i] = {times[i].seconds, static_cast<uint32_t>(times[i].nanoseconds)};
      if (times[i].nanoseconds == kNow) {
        *fields[i] = {static_cast<int64_t>(now / 1'000'000'000),
                      static_cast<uint32_t>(now % 1'000'000'000)};
      }
    }
  }
  if (Arg(slots, 1) == 0) return ChangeDescriptor(Arg(slots, 0), change);
  return ChangeAt(Arg(slots, 0), GuestPath(Arg(slots, 1)), Arg(slots, 3), change);
}

int64_t SysTruncate(const uint64_t* slots) {
  const GuestPath path(Arg(slots, 0));
  HeldNode found;
  int error = WalkFrom(static_cast<uint32_t>(AT_FDCWD), path, vfs::kFollow, &found);
  if (error == 0) error = found.node.fs->Access(Current().who, found.node.id, 2);
  return error != 0 ? error : found.node.fs->Truncate(found.node.id, WideArg(slots, 1));
}

int64_t SysUmask(const uint64_t* slots) {
  const uint32_t old = Current().umask;
  Current().umask = Arg(slots, 0) & 0777;
  return old;
}

// struct statfs of a 32-bit guest with 64-bit counts, as the generic ABI has it.
int64_t StoreFileSystem(vfs::FileSystem& fs, uint32_t address) {
  vfs::FileSystemStat stat;
  const int error = fs.StatFileSystem(&stat);
  if (error != 0) return error;
  struct __attribute__((packed)) {
    uint32_t type, block_size;
    uint64_t blocks, free_blocks, available_blocks, files, free_files;
    uint32_t id[2], name_length, fragment_size, flags, spare[4];
  } out = {0x01021994,
           4096,
           stat.total_bytes / 4096,
           stat.free_bytes / 4096,
           stat.free_bytes / 4096,
           stat.total_files,
           stat.free_files,
           {1, 0},
           255,
           4096,
           0,
           {}};
  return CopyOut(address, &out, sizeof out);
}

int64_t SysStatfs(const uint64_t* slots) {
  const GuestPath path(Arg(slots, 0));
  HeldNode found;
  const int error = WalkFrom(static_cast<uint32_t>(AT_FDCWD), path, vfs::kFollow, &found);
  return error != 0 ? error : StoreFileSystem(*found.node.fs, Arg(slots, 2));
}

int64_t SysFstatfs(const uint64_t* slots) {
  const OpenFile* file = FileOf(Arg(slots, 0));
  if (file == nullptr) return -EBADF;
  return StoreFileSystem(file->node.fs != nullptr ? *file->node.fs : *TheKernel().files,
                         Arg(slots, 2));
}

constexpr CallRow kRows[] = {
    {"openat", SysOpenat},       {"memfd_create", SysMemfdCreate},
    {"fstat64", SysFstat},       {"fstatat64", SysFstatat},
    {"mkdirat", SysMkdirat},     {"mknodat", SysMknodat},
    {"unlinkat", SysUnlinkat},   {"symlinkat", SysSymlinkat},
    {"linkat", SysLinkat},       {"renameat", SysRenameat},
    {"renameat2", SysRenameat2}, {"readlinkat", SysReadlinkat},
    {"faccessat", SysFaccessat}, {"faccessat2", SysFaccessat2},
    {"chdir", SysChdir},         {"fchdir", SysFchdir},
    {"getcwd", SysGetcwd},       {"fchmod", SysFchmod},
    {"fchmodat", SysFchmodat},   {"fchown", SysFchown},
    {"fchownat", SysFchownat},   {"utimensat_time64", SysUtimensat},
    {"truncate64", SysTruncate}, {"umask", SysUmask},
    {"statfs64", SysStatfs},     {"fstatfs64", SysFstatfs},
};

}  // namespace

CallTable PathCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
