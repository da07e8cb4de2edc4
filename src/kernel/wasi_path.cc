// WASI: calls on paths, which are relative to a descriptor and stay below it.

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <iterator>

#include "kernel/guest_memory.h"
#include "kernel/open_file.h"
#include "kernel/path_calls.h"
#include "kernel/wasi.h"
#include "kernel/wasi_types.h"

namespace cordon::kernel {
namespace {

constexpr int64_t kNotCapable = 76;
constexpr uint32_t kFollow = 1;  // lookupflags

// By its components alone: the wall is elsewhere, this is what programs test for.
bool LeavesDirectory(std::string_view path) {
  if (path.starts_with('/')) return true;
  int depth = 0;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size() < path.size() ? part.size() + 1 : path.size());
    if (part.empty() || part == ".") continue;
    depth += part == ".." ? -1 : 1;
    if (depth < 0) return true;
  }
  return false;
}

// 0, or the error of WASI that the call ends with.
int64_t Refusal(uint32_t descriptor, const GuestPath& path) {
  const OpenFile* file = FileOf(descriptor);
  if (file == nullptr) return WasiError(-EBADF);
  if (file->node.fs == nullptr) return WasiError(-ENOTDIR);
  if (path.length < 0) return WasiError(path.length);
  return LeavesDirectory(path.view()) ? kNotCapable : 0;
}

int64_t CreateDirectory(const uint64_t* slots) {
  const GuestPath path(Arg(slots, 1), Arg(slots, 2));
  const int64_t refused = Refusal(Arg(slots, 0), path);
  return refused != 0 ? refused : WasiError(MakeNodeAt(Arg(slots, 0), path, S_IFDIR | 0777));
}

int64_t FileStat(const uint64_t* slots) {
  const GuestPath path(Arg(slots, 2), Arg(slots, 3));
  if (const int64_t refused = Refusal(Arg(slots, 0), path); refused != 0) return refused;
  vfs::Stat stat = {};
  const uint32_t flags = (Arg(slots, 1) & kFollow) != 0 ? 0 : AT_SYMLINK_NOFOLLOW;
  const int64_t error = StatAt(Arg(slots, 0), path, flags, &stat);
  return WasiError(error != 0 ? error : Store(Arg(slots, 4), WasiFileStat(stat)));
}

int64_t SetTimes(const uint64_t* slots) {
  const GuestPath path(Arg(slots, 2), Arg(slots, 3));
  if (const int64_t refused = Refusal(Arg(slots, 0), path); refused != 0) return refused;
  vfs::Attributes change;
  const int error = WasiTimes(slots[4], slots[5], Arg(slots, 6), &change);
  const uint32_t flags = (Arg(slots, 1) & kFollow) != 0 ? 0 : AT_SYMLINK_NOFOLLOW;
  return WasiError(error != 0 ? error : ChangeAt(Arg(slots, 0), path, flags, change));
}

int64_t Link(const uint64_t* slots) {
  const GuestPath from(Arg(slots, 2), Arg(slots, 3));
  const GuestPath to(Arg(slots, 5), Arg(slots, 6));
  int64_t refused = Refusal(Arg(slots, 0), from);
  if (refused == 0) refused = Refusal(Arg(slots, 4), to);
  if (refused != 0) return refused;
  const uint32_t flags = (Arg(slots, 1) & kFollow) != 0 ? AT_SYMLINK_FOLLOW : 0;
  return WasiError(LinkAt(Arg(slots, 0), from, Arg(slots, 4), to, flags));
}

int64_t Open(const uint64_t* slots) {
  constexpr uint64_t kReads = 1 << 1 | 1 << 14;            // fd_read, fd_readdir
  constexpr uint64_t kWrites = 1 << 6 | 1 << 8 | 1 << 22;  // fd_write, fd_allocate, set_size
  enum OpenFlags : uint32_t {
    kCreate = 1,
    kDirectory = 2,
    kExclusive = 4,
    kTruncate = 8,
    kAll = 15
  };
  const GuestPath path(Arg(slots, 2), Arg(slots, 3));
  if (const int64_t refused = Refusal(Arg(slots, 0), path); refused != 0) return refused;
  const uint32_t wanted = Arg(slots, 4);
  const uint64_t rights = slots[5];
  constexpr uint32_t kNewDirectory = kCreate | kDirectory;
  if (wanted > kAll || Arg(slots, 7) > kWasiFdFlags || (wanted & kNewDirectory) == kNewDirectory)
    return WasiError(-EINVAL);
  uint32_t flags = WasiOpenFlags(Arg(slots, 7)) | O_CLOEXEC;
  if ((wanted & kCreate) != 0) flags |= O_CREAT;
  if ((wanted & kDirectory) != 0) flags |= O_DIRECTORY;
  if ((wanted & kExclusive) != 0) flags |= O_EXCL;
  if ((wanted & kTruncate) != 0) flags |= O_TRUNC;
  if ((Arg(slots, 1) & kFollow) == 0) flags |= O_NOFOLLOW;
  const bool reads = (rights & kReads) != 0;
  const bool writes = (rights & kWrites) != 0 && (wanted & kDirectory) == 0;
  flags |= !writes ? O_RDONLY : reads ? O_RDWR : O_WRONLY;
  int64_t opened = OpenAt(Arg(slots, 0), path, flags, 0666);
  // Programs ask for all rights; a directory grants those that it has.
  if (opened == -EISDIR && (wanted & kCreate) == 0)
    opened = OpenAt(Arg(slots, 0), path, flags & ~static_cast<uint32_t>(O_ACCMODE | O_TRUNC), 0);
  if (opened == kRestart) return kRestart;
  if (opened < 0) return WasiError(opened);
  return WasiError(Store(Arg(slots, 8), static_cast<uint32_t>(opened)));
}

int64_t ReadLink(const uint64_t* slots) {
  const GuestPath path(Arg(slots, 1), Arg(slots, 2));
  if (const int64_t refused = Refusal(Arg(slots, 0), path); refused != 0) return refused;
  const int64_t size = ReadLinkAt(Arg(slots, 0), path, Arg(slots, 3), Arg(slots, 4));
  return WasiError(size < 0 ? size : Store(Arg(slots, 5), static_cast<uint32_t>(size)));
}

int64_t Remove(const uint64_t* slots, uint32_t flags) {
  const GuestPath path(Arg(slots, 1), Arg(slots, 2));
  const int64_t refused = Refusal(Arg(slots, 0), path);
  return refused != 0 ? refused : WasiError(UnlinkAt(Arg(slots, 0), path, flags));
}
int64_t RemoveDirectory(const uint64_t* slots) {
  return Remove(slots, AT_REMOVEDIR);
}
int64_t UnlinkFile(const uint64_t* slots) {
  return Remove(slots, 0);
}

int64_t Rename(const uint64_t* slots) {
  const GuestPath from(Arg(slots, 1), Arg(slots, 2));
  const GuestPath to(Arg(slots, 4), Arg(slots, 5));
  int64_t refused = Refusal(Arg(slots, 0), from);
  if (refused == 0) refused = Refusal(Arg(slots, 3), to);
  return refused != 0 ? refused : WasiError(RenameAt(Arg(slots, 0), from, Arg(slots, 3), to, 0));
}

int64_t Symlink(const uint64_t* slots) {
  const GuestPath target(Arg(slots, 0), Arg(slots, 1));
  const GuestPath path(Arg(slots, 3), Arg(slots, 4));
  const int64_t refused = Refusal(Arg(slots, 2), path);
  return refused != 0 ? refused : WasiError(SymlinkAt(target, Arg(slots, 2), path));
}

constexpr CallRow kRows[] = {
    {"path_create_directory", CreateDirectory},
    {"path_filestat_get", FileStat},
    {"path_filestat_set_times", SetTimes},
    {"path_link", Link},
    {"path_open", Open},
    {"path_readlink", ReadLink},
    {"path_remove_directory", RemoveDirectory},
    {"path_rename", Rename},
    {"path_symlink", Symlink},
    {"path_unlink_file", UnlinkFile},
};

}  // namespace

CallTable WasiPathCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
