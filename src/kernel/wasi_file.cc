// WASI: calls on descriptors.

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/open_file.h"
#include "kernel/path_calls.h"
#include "kernel/process.h"
#include "kernel/wasi.h"
#include "kernel/wasi_types.h"

namespace cordon::kernel {
namespace {

constexpr uint64_t kAllRights = (uint64_t{1} << 30) - 1;
constexpr uint64_t kFdRead = 1 << 1;
constexpr uint64_t kFdWrite = 1 << 6;

// A call of module `cordon`, looked up when it is first made.
struct Call {
  std::string_view name;
  CallHandler handler = nullptr;

  int64_t operator()(std::initializer_list<uint64_t> arguments) {
    uint64_t slots[8] = {};
    std::copy(arguments.begin(), arguments.end(), slots);
    if (handler == nullptr) handler = CallNamed(name);
    return handler == nullptr ? -ENOSYS : handler(slots);
  }
};
Call readv_call{"readv"};
Call writev_call{"writev"};
Call preadv_call{"preadv"};
Call pwritev_call{"pwritev"};
Call llseek_call{"_llseek"};
Call fallocate_call{"fallocate"};
Call ftruncate_call{"ftruncate64"};
Call fcntl_call{"fcntl64"};

uint32_t Low(uint64_t value) {
  return static_cast<uint32_t>(value);
}
uint32_t High(uint64_t value) {
  return static_cast<uint32_t>(value >> 32);
}

// A directory has no contents and no place in them.
bool HasContents(uint32_t descriptor) {
  const OpenFile* file = FileOf(descriptor);
  return file != nullptr &&
         (file->node.fs == nullptr || !S_ISDIR(file->node.fs->ModeOf(file->node.id)));
}

// kRestart is for the way out of the kernel, not for the guest.
int64_t StoreCount(int64_t moved, uint32_t address) {
  if (moved == kRestart) return kRestart;
  return WasiError(moved < 0 ? moved : Store(address, static_cast<uint32_t>(moved)));
}

int64_t FdRead(const uint64_t* slots) {
  if (!HasContents(Arg(slots, 0))) return WasiError(-EBADF);
  return StoreCount(readv_call({Arg(slots, 0), Arg(slots, 1), Arg(slots, 2)}), Arg(slots, 3));
}
int64_t FdWrite(const uint64_t* slots) {
  if (!HasContents(Arg(slots, 0))) return WasiError(-EBADF);
  return StoreCount(writev_call({Arg(slots, 0), Arg(slots, 1), Arg(slots, 2)}), Arg(slots, 3));
}
int64_t FdPread(const uint64_t* slots) {
  if (!HasContents(Arg(slots, 0))) return WasiError(-EBADF);
  return StoreCount(
      preadv_call({Arg(slots, 0), Arg(slots, 1), Arg(slots, 2), Low(slots[3]), High(slots[3])}),
      Arg(slots, 4));
}
int64_t FdPwrite(const uint64_t* slots) {
  if (!HasContents(Arg(slots, 0))) return WasiError(-EBADF);
  return StoreCount(
      pwritev_call({Arg(slots, 0), Arg(slots, 1), Arg(slots, 2), Low(slots[3]), High(slots[3])}),
      Arg(slots, 4));
}

int64_t FdSeek(const uint64_t* slots) {
  if (!HasContents(Arg(slots, 0))) return WasiError(-EBADF);
  if (Arg(slots, 2) > SEEK_END) return WasiError(-EINVAL);
  return WasiError(
      llseek_call({Arg(slots, 0), High(slots[1]), Low(slots[1]), Arg(slots, 3), Arg(slots, 2)}));
}
int64_t FdTell(const uint64_t* slots) {
  if (!HasContents(Arg(slots, 0))) return WasiError(-EBADF);
  return WasiError(llseek_call({Arg(slots, 0), 0, 0, Arg(slots, 1), SEEK_CUR}));
}

int64_t FdClose(const uint64_t* slots) {
  ForgetWasiDirectory(Arg(slots, 0));
  return WasiError(CloseDescriptor(Arg(slots, 0)));
}
int64_t FdSync(const uint64_t* slots) {
  return WasiError(FileOf(Arg(slots, 0)) == nullptr ? -EBADF : 0);
}
int64_t FdAdvise(const uint64_t* slots) {
  if (!HasContents(Arg(slots, 0))) return WasiError(-EBADF);
  if (Arg(slots, 3) > 5) return WasiError(-EINVAL);
  return FdSync(slots);
}
int64_t FdAllocate(const uint64_t* slots) {
  if (!HasContents(Arg(slots, 0))) return WasiError(-EBADF);
  return WasiError(fallocate_call(
      {Arg(slots, 0), 0, Low(slots[1]), High(slots[1]), Low(slots[2]), High(slots[2])}));
}
int64_t FdSetSize(const uint64_t* slots) {
  if (!HasContents(Arg(slots, 0))) return WasiError(-EBADF);
  return WasiError(ftruncate_call({Arg(slots, 0), Low(slots[1]), High(slots[1])}));
}

int64_t FdRenumber(const uint64_t* slots) {
  OpenFile* file = FileOf(Arg(slots, 0));
  if (file == nullptr || FileOf(Arg(slots, 1)) == nullptr) return WasiError(-EBADF);
  if (Arg(slots, 0) == Arg(slots, 1)) return 0;
  ForgetWasiDirectory(Arg(slots, 0));
  ForgetWasiDirectory(Arg(slots, 1));
  Retain(file);
  const int32_t moved = InstallAt(file, Arg(slots, 1), false);
  return WasiError(moved < 0 ? moved : CloseDescriptor(Arg(slots, 0)));
}

uint64_t RightsOf(const OpenFile& file, uint32_t mode) {
  if (S_ISDIR(mode)) return kAllRights & ~(kFdRead | kFdWrite | (1 << 2) | (1 << 5));
  uint64_t rights = kAllRights;
  if (!file.readable()) rights &= ~kFdRead;
  if (!file.writable()) rights &= ~kFdWrite;
  // isatty of wasi-libc asks for a character device that cannot seek.
  if (!S_ISREG(mode)) rights &= ~uint64_t{1 << 2 | 1 << 5};
  return rights;
}

int64_t FdStat(const uint64_t* slots) {
  const OpenFile* file = FileOf(Arg(slots, 0));
  vfs::Stat stat = {};
  const int64_t error = StatDescriptor(Arg(slots, 0), &stat);
  if (error != 0) return WasiError(error);
  const uint32_t flags = file->flags.load();
  const struct {
    uint8_t type, padding;
    uint16_t flags;
    uint32_t padding2;
    uint64_t rights, inheriting;
  } out = {WasiTypeOf(stat.mode),
           0,
           static_cast<uint16_t>(((flags & O_APPEND) != 0 ? kWasiAppend : 0) |
                                 ((flags & O_NONBLOCK) != 0 ? kWasiNonBlock : 0)),
           0,
           RightsOf(*file, stat.mode),
           S_ISDIR(stat.mode) ? kAllRights : 0};
  return WasiError(Store(Arg(slots, 1), out));
}

int64_t FdSetFlags(const uint64_t* slots) {
  const uint32_t flags = Arg(slots, 1);
  if (flags > kWasiFdFlags) return WasiError(-EINVAL);
  return WasiError(fcntl_call({Arg(slots, 0), F_SETFL, WasiOpenFlags(flags)}));
}

int64_t FdFileStat(const uint64_t* slots) {
  vfs::Stat stat = {};
  const int64_t error = StatDescriptor(Arg(slots, 0), &stat);
  return WasiError(error != 0 ? error : Store(Arg(slots, 1), WasiFileStat(stat)));
}

int64_t FdSetTimes(const uint64_t* slots) {
  vfs::Attributes change;
  const int error = WasiTimes(slots[1], slots[2], Arg(slots, 3), &change);
  return WasiError(error != 0 ? error : ChangeDescriptor(Arg(slots, 0), change));
}

int64_t PrestatGet(const uint64_t* slots) {
  const std::string_view name = WasiDirectoryName(Arg(slots, 0));
  if (name.empty()) return WasiError(-EBADF);
  const uint32_t out[2] = {0, static_cast<uint32_t>(name.size())};
  return WasiError(Store(Arg(slots, 1), out));
}
int64_t PrestatName(const uint64_t* slots) {
  const std::string_view name = WasiDirectoryName(Arg(slots, 0));
  if (name.empty()) return WasiError(-EBADF);
  if (Arg(slots, 2) < name.size()) return WasiError(-ENAMETOOLONG);
  return WasiError(CopyOut(Arg(slots, 1), name.data(), static_cast<uint32_t>(name.size())));
}

// Entries one after the other; the last one may be cut, which tells the caller to come again.
struct DirectoryWriter {
  uint32_t at;
  uint32_t left;
  int error;
};

bool WriteBytes(DirectoryWriter& writer, const void* from, size_t size) {
  const uint32_t count = std::min(writer.left, static_cast<uint32_t>(size));
  writer.error = CopyOut(writer.at, from, count);
  writer.at += count;
  writer.left -= count;
  return writer.error == 0 && writer.left > 0;
}

bool WriteEntry(DirectoryWriter& writer, std::string_view name, uint64_t inode, uint32_t type,
                uint64_t next) {
  const struct {
    uint64_t next, inode;
    uint32_t name_size;
    uint8_t type, padding[3];
  } entry = {next, inode, static_cast<uint32_t>(name.size()), WasiTypeOf(type), {}};
  return WriteBytes(writer, &entry, sizeof entry) && WriteBytes(writer, name.data(), name.size());
}

// Cookies 0 and 1 stand before "." and ".."; those of the file system follow, moved by 2.
int64_t FdReaddir(const uint64_t* slots) {
  const OpenFile* file = FileOf(Arg(slots, 0));
  vfs::Stat stat = {};
  const int64_t failed = StatDescriptor(Arg(slots, 0), &stat);
  if (failed != 0) return WasiError(failed);
  if (!S_ISDIR(stat.mode)) return WasiError(-ENOTDIR);
  const uint64_t cookie = slots[3];
  DirectoryWriter writer = {Arg(slots, 1), Arg(slots, 2), 0};
  bool more = cookie > 0 || WriteEntry(writer, ".", stat.inode, S_IFDIR, 1);
  if (more && cookie <= 1) more = WriteEntry(writer, "..", stat.inode, S_IFDIR, 2);
  if (more) {
    const auto emit = [](void* out, std::string_view name, uint64_t inode, uint32_t type,
                         uint64_t next) {
      return WriteEntry(*static_cast<DirectoryWriter*>(out), name, inode, type, next + 2);
    };
    const int error =
        file->node.fs->List(file->node.id, cookie < 2 ? 0 : cookie - 2, {&writer, emit});
    if (error != 0) return WasiError(error);
  }
  if (writer.error != 0) return WasiError(writer.error);
  return WasiError(Store(Arg(slots, 4), Arg(slots, 2) - writer.left));
}

int64_t NotSocket(const uint64_t* slots) {
  return WasiError(FileOf(Arg(slots, 0)) == nullptr ? -EBADF : -ENOTSOCK);
}

constexpr CallRow kRows[] = {
    {"fd_advise", FdAdvise},
    {"fd_allocate", FdAllocate},
    {"fd_close", FdClose},
    {"fd_datasync", FdSync},
    {"fd_fdstat_get", FdStat},
    {"fd_fdstat_set_flags", FdSetFlags},
    {"fd_fdstat_set_rights", FdSync},
    {"fd_filestat_get", FdFileStat},
    {"fd_filestat_set_size", FdSetSize},
    {"fd_filestat_set_times", FdSetTimes},
    {"fd_pread", FdPread},
    {"fd_prestat_get", PrestatGet},
    {"fd_prestat_dir_name", PrestatName},
    {"fd_pwrite", FdPwrite},
    {"fd_read", FdRead},
    {"fd_readdir", FdReaddir},
    {"fd_renumber", FdRenumber},
    {"fd_seek", FdSeek},
    {"fd_sync", FdSync},
    {"fd_tell", FdTell},
    {"fd_write", FdWrite},
    {"sock_accept", NotSocket},
    {"sock_recv", NotSocket},
    {"sock_send", NotSocket},
    {"sock_shutdown", NotSocket},
};

}  // namespace

CallTable WasiFileCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
