// Calls on descriptors.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "kernel/file_lock.h"
#include "kernel/guest_memory.h"
#include "kernel/guest_vector.h"
#include "kernel/open_file.h"
#include "kernel/syscall.h"
#include "kernel/terminal.h"

namespace cordon::kernel {
namespace {

enum class Direction { kRead, kWrite };

bool IsOpenFor(const OpenFile& file, Direction direction) {
  return direction == Direction::kRead ? file.readable() : file.writable();
}

int64_t Transfer(OpenFile& file, Direction direction, uint32_t address, uint32_t size) {
  if (uint64_t{address} + size > UINT32_MAX) return -EFAULT;
  if ((file.flags.load() & O_PATH) != 0) return -EBADF;
  if (direction == Direction::kRead) {
    return file.readable() ? file.operations->read(file, GuestPointer(address), size) : -EBADF;
  }
  return file.writable() ? file.operations->write(file, GuestPointer(address), size) : -EBADF;
}

// What a call moves at once through the kernel's own memory.
constexpr uint32_t kGatherBytes = 256 * 1024;

// One transfer of the file for many parts, because a write may not be torn by another one and a
// read may not wait for a second part when it has bytes for the first.
int64_t TransferGathered(OpenFile& file, const GuestVectors& vectors, Direction direction,
                         std::byte* buffer, uint32_t buffer_bytes) {
  const CallerBytes caller(vectors);
  int64_t total = 0;
  for (uint32_t done = 0; done < vectors.bytes;) {
    const uint32_t size = std::min(vectors.bytes - done, buffer_bytes);
    int64_t moved = direction == Direction::kWrite ? caller.CopyIn(done, buffer, size)
                                                   : file.operations->read(file, buffer, size);
    if (moved == 0 && direction == Direction::kWrite)
      moved = file.operations->write(file, buffer, size);
    if (moved > 0 && direction == Direction::kRead &&
        caller.CopyOut(done, buffer, static_cast<uint64_t>(moved)) != 0) {
      moved = -EFAULT;
    }
    if (moved < 0) return total > 0 ? total : moved;
    total += moved;
    done += static_cast<uint32_t>(moved);
    if (moved < size || direction == Direction::kRead) break;
  }
  return total;
}

int64_t TransferVector(const uint64_t* slots, Direction direction) {
  OpenFile* file = FileOf(Arg(slots, 0));
  if (file == nullptr) return -EBADF;
  GuestVectors vectors;
  const int32_t error = LoadVectors(Arg(slots, 1), Arg(slots, 2), &vectors);
  if (error != 0) return error;
  const GuestVector* only = nullptr;
  uint32_t used = 0;
  for (uint32_t i = 0; i < vectors.count; ++i) {
    if (vectors.parts[i].size == 0) continue;
    only = &vectors.parts[i];
    ++used;
  }
  if (used <= 1) {
    return Transfer(*file, direction, used == 0 ? 0 : only->base, used == 0 ? 0 : only->size);
  }
  if (!IsOpenFor(*file, direction) || (file->flags.load() & O_PATH) != 0) return -EBADF;
  std::byte small[1024];
  if (vectors.bytes <= sizeof small)
    return TransferGathered(*file, vectors, direction, small, sizeof small);
  Arena& arena = *TheKernel().arena;
  const uint32_t size = std::min(vectors.bytes, kGatherBytes);
  auto* buffer = static_cast<std::byte*>(arena.AllocateBuffer(size));
  if (buffer == nullptr) return -ENOMEM;
  const int64_t moved = TransferGathered(*file, vectors, direction, buffer, size);
  arena.Free(buffer, size);
  return moved;
}

int64_t SysRead(const uint64_t* slots) {
  OpenFile* file = FileOf(Arg(slots, 0));
  return file == nullptr ? -EBADF : Transfer(*file, Direction::kRead, Arg(slots, 1), Arg(slots, 2));
}
int64_t SysWrite(const uint64_t* slots) {
  OpenFile* file = FileOf(Arg(slots, 0));
  return file == nullptr ? -EBADF
                         : Transfer(*file, Direction::kWrite, Arg(slots, 1), Arg(slots, 2));
}
int64_t SysReadv(const uint64_t* slots) {
  return TransferVector(slots, Direction::kRead);
}
int64_t SysWritev(const uint64_t* slots) {
  return TransferVector(slots, Direction::kWrite);
}

// For calls that need a regular file.
int32_t CheckNode(const OpenFile* file) {
  if (file == nullptr) return -EBADF;
  return file->operations != &kNodeOperations ? -ESPIPE : 0;
}
OpenFile* NodeFile(uint32_t descriptor, int32_t* error) {
  OpenFile* file = FileOf(descriptor);
  *error = CheckNode(file);
  return *error == 0 ? file : nullptr;
}

// Of a regular file, whose own offset it leaves alone.
int64_t MoveAt(const OpenFile& file, Direction direction, uint64_t at, uint32_t base,
               uint32_t size) {
  vfs::FileSystem& fs = *file.node.fs;
  uint64_t end = 0;
  return direction == Direction::kRead ? fs.Read(file.node.id, at, GuestPointer(base), size)
                                       : fs.Write(file.node.id, at, GuestPointer(base), size, &end);
}

// A descriptor is looked up once in each call: another thread may give it to something else.
int64_t TransferOneAt(const uint64_t* slots, Direction direction) {
  OpenFile* file = FileOf(Arg(slots, 0));
  if (file != nullptr && IsMemoryDevice(*file)) {
    return Transfer(*file, direction, Arg(slots, 1), Arg(slots, 2));
  }
  const int32_t error = CheckNode(file);
  if (error != 0) return error;
  if (!IsOpenFor(*file, direction)) return -EBADF;
  return MoveAt(*file, direction, WideArg(slots, 3), Arg(slots, 1), Arg(slots, 2));
}
int64_t SysPread(const uint64_t* slots) {
  return TransferOneAt(slots, Direction::kRead);
}
int64_t SysPwrite(const uint64_t* slots) {
  return TransferOneAt(slots, Direction::kWrite);
}

// Part by part: regular files do not wait, and an offset of its own shares nothing with others.
int64_t TransferAt(const uint64_t* slots, Direction direction) {
  int32_t error = 0;
  OpenFile* file = NodeFile(Arg(slots, 0), &error);
  if (file == nullptr) return error;
  if (!IsOpenFor(*file, direction)) return -EBADF;
  GuestVectors vectors;
  error = LoadVectors(Arg(slots, 1), Arg(slots, 2), &vectors);
  if (error != 0) return error;
  const uint64_t offset = WideArg(slots, 3);
  if (offset > INT64_MAX) return -EINVAL;
  int64_t total = 0;
  for (uint32_t i = 0; i < vectors.count; ++i) {
    const GuestVector& part = vectors.parts[i];
    if (uint64_t{part.base} + part.size > UINT32_MAX) return total > 0 ? total : -EFAULT;
    const uint64_t at = offset + static_cast<uint64_t>(total);
    const int64_t moved = MoveAt(*file, direction, at, part.base, part.size);
    if (moved < 0) return total > 0 ? total : moved;
    total += moved;
    if (moved < part.size) break;
  }
  return total;
}
int64_t SysPreadv(const uint64_t* slots) {
  return TransferAt(slots, Direction::kRead);
}
int64_t SysPwritev(const uint64_t* slots) {
  return TransferAt(slots, Direction::kWrite);
}

int64_t SysLlseek(const uint64_t* slots) {
  OpenFile* file = FileOf(Arg(slots, 0));
  if (file != nullptr && IsMemoryDevice(*file)) return Store(Arg(slots, 3), int64_t{0});
  const int32_t error = CheckNode(file);
  if (error != 0) return error;
  const auto offset = static_cast<int64_t>(uint64_t{Arg(slots, 1)} << 32 | Arg(slots, 2));
  const MutexLock lock(file->offset_lock, LockRank::kRename);
  int64_t base = 0;
  switch (Arg(slots, 4)) {
    case SEEK_SET:
      break;
    case SEEK_CUR:
      base = static_cast<int64_t>(file->offset);
      break;
    case SEEK_END: {
      vfs::Stat stat;
      const int failed = file->node.fs->GetStat(file->node.id, &stat);
      if (failed != 0) return failed;
      base = stat.size;
      break;
    }
    case SEEK_DATA:
    case SEEK_HOLE: {
      const int64_t found = file->node.fs->SeekHole(file->node.id, static_cast<uint64_t>(offset),
                                                    SignedArg(slots, 4));
      if (found < 0) return found;
      file->offset = static_cast<uint64_t>(found);
      return Store(Arg(slots, 3), found);
    }
    default:
      return -EINVAL;
  }
  int64_t target = 0;
  if (__builtin_add_overflow(base, offset, &target) || target < 0) return -EINVAL;
  file->offset = static_cast<uint64_t>(target);
  return Store(Arg(slots, 3), target);
}

int64_t SysClose(const uint64_t* slots) {
  return CloseDescriptor(Arg(slots, 0));
}

int64_t SysDup(const uint64_t* slots) {
  OpenFile* file = FileOf(Arg(slots, 0));
  if (file == nullptr) return -EBADF;
  Retain(file);
  return Install(file, 0, false);
}

int64_t SysDup3(const uint64_t* slots) {
  OpenFile* file = FileOf(Arg(slots, 0));
  if (file == nullptr) return -EBADF;
  if (Arg(slots, 0) == Arg(slots, 1)) return -EINVAL;
  Retain(file);
  return InstallAt(file, Arg(slots, 1), (Arg(slots, 2) & O_CLOEXEC) != 0);
}

constexpr uint32_t kChangeableFlags = O_APPEND | O_NONBLOCK;

int64_t SysFcntl(const uint64_t* slots) {
  const uint32_t descriptor = Arg(slots, 0);
  const uint32_t argument = Arg(slots, 2);
  OpenFile* file = FileOf(descriptor);
  if (file == nullptr) return -EBADF;
  switch (Arg(slots, 1)) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      if (argument >= Current().descriptor_limit) return -EINVAL;
      Retain(file);
      return Install(file, argument, Arg(slots, 1) == F_DUPFD_CLOEXEC);
    case F_GETFD:
      return IsClosedOnExec(descriptor);
    case F_SETFD:
      return SetCloseOnExec(descriptor, (argument & FD_CLOEXEC) != 0);
    case F_GETFL:
      return file->flags.load();
    case F_SETFL:
      file->flags.store((file->flags.load() & ~kChangeableFlags) | (argument & kChangeableFlags));
      return 0;
    case 12:  // F_GETLK64, F_SETLK64, F_SETLKW64 of 32-bit Linux
    case 13:
    case 14:
    case 36:  // F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW
    case 37:
    case 38:
      return LockRecord(*file, Arg(slots, 1), argument);
    case F_GETPIPE_SZ:
      return PipeCapacity(*file);
    case F_SETPIPE_SZ:
      return SetPipeCapacity(*file, argument);
    default:
      return -EINVAL;
  }
}

int64_t SysFlock(const uint64_t* slots) {
  OpenFile* file = FileOf(Arg(slots, 0));
  return file == nullptr ? -EBADF : LockWhole(*file, Arg(slots, 1));
}

int64_t SysIoctl(const uint64_t* slots) {
  OpenFile* file = FileOf(Arg(slots, 0));
  if (file == nullptr) return -EBADF;
  switch (Arg(slots, 1)) {
    case FIOCLEX:
    case FIONCLEX:
      return SetCloseOnExec(Arg(slots, 0), Arg(slots, 1) == FIOCLEX);
    case FIONBIO: {
      uint32_t on = 0;
      if (Load(&on, Arg(slots, 2)) != 0) return -EFAULT;
      const uint32_t flags = file->flags.load() & ~static_cast<uint32_t>(O_NONBLOCK);
      file->flags.store(on != 0 ? flags | O_NONBLOCK : flags);
      return 0;
    }
    default:
      return file->operations->control(*file, Arg(slots, 1), Arg(slots, 2));
  }
}

int64_t SysTtyname(const uint64_t* slots) {
  const OpenFile* file = FileOf(Arg(slots, 0));
  if (file == nullptr) return -EBADF;
  const Terminal* terminal = TerminalOf(*file);
  if (terminal == nullptr) return -ENOTTY;
  char path[24];
  const auto size =
      static_cast<uint32_t>(snprintf(path, sizeof path, "/dev/pts/%u", terminal->number)) + 1;
  return size > Arg(slots, 2) ? -ERANGE : CopyOut(Arg(slots, 1), path, size);
}

int64_t SysPipe2(const uint64_t* slots) {
  OpenFile* ends[2];
  const uint32_t flags = Arg(slots, 1);
  if ((flags & ~static_cast<uint32_t>(O_CLOEXEC | O_NONBLOCK)) != 0) return -EINVAL;
  const int32_t error = NewPipe(flags, &ends[0], &ends[1]);
  if (error != 0) return error;
  const bool close_on_exec = (flags & O_CLOEXEC) != 0;
  int32_t descriptors[2] = {Install(ends[0], 0, close_on_exec), 0};
  descriptors[1] = Install(ends[1], 0, close_on_exec);
  const int failed =
      descriptors[0] < 0 || descriptors[1] < 0 ? -EMFILE : Store(Arg(slots, 0), descriptors);
  if (failed != 0) {
    for (const int32_t descriptor : descriptors) {
      if (descriptor >= 0) CloseDescriptor(static_cast<uint32_t>(descriptor));
    }
  }
  return failed;
}

int64_t SysFtruncate(const uint64_t* slots) {
  int32_t error = 0;
  OpenFile* file = NodeFile(Arg(slots, 0), &error);
  if (file == nullptr) return error == -ESPIPE ? -EINVAL : error;
  if (!file->writable() || WideArg(slots, 1) > INT64_MAX) return -EINVAL;
  return file->node.fs->Truncate(file->node.id, WideArg(slots, 1));
}

int64_t SysFallocate(const uint64_t* slots) {
  int32_t error = 0;
  OpenFile* file = NodeFile(Arg(slots, 0), &error);
  if (file == nullptr) return error;
  if (!file->writable()) return -EBADF;
  const uint64_t offset = WideArg(slots, 2);
  const uint64_t size = WideArg(slots, 4);
  if ((Arg(slots, 1) & ~1u) != 0) return -EOPNOTSUPP;
  if (offset > INT64_MAX || size > INT64_MAX || size == 0) return -EINVAL;
  return file->node.fs->Allocate(file->node.id, offset, size, Arg(slots, 1) == 1);
}

int64_t SysSync(const uint64_t* /*slots*/) {
  return 0;
}
int64_t SysFsync(const uint64_t* slots) {
  return FileOf(Arg(slots, 0)) == nullptr ? -EBADF : 0;
}

// Nobody reads ahead: what a call of it would be told is told.
int64_t SysFadvise(const uint64_t* slots) {
  int32_t error = 0;
  if (NodeFile(Arg(slots, 0), &error) == nullptr) return error;
  const bool is_advice = Arg(slots, 5) <= POSIX_FADV_NOREUSE;
  return is_advice && static_cast<int64_t>(WideArg(slots, 3)) >= 0 ? 0 : -EINVAL;
}

// One directory entry after the other into the guest, as struct linux_dirent64.
struct EntryWriter {
  uint32_t at;
  uint32_t left;
  uint64_t cookie;
  int error;
};

bool EmitEntry(void* cookie, std::string_view name, uint64_t inode, uint32_t type, uint64_t next) {
  auto* writer = static_cast<EntryWriter*>(cookie);
  const auto size = static_cast<uint32_t>((19 + name.size() + 1 + 7) / 8 * 8);
  if (size > writer->left) return false;
  char record[19 + 256 + 8] = {};
  const auto size16 = static_cast<uint16_t>(size);
  memcpy(record, &inode, 8);
  memcpy(record + 8, &next, 8);
  memcpy(record + 16, &size16, 2);
  record[18] = static_cast<char>(type >> 12);  // DT_ values are the type bits of the mode
  memcpy(record + 19, name.data(), name.size());
  writer->error = CopyOut(writer->at, record, size);
  if (writer->error != 0) return false;
  writer->at += size;
  writer->left -= size;
  writer->cookie = next;
  return true;
}

// Offsets 0 and 1 are "." and ".."; the file system's cookies follow, moved by 2.
int64_t SysGetdents(const uint64_t* slots) {
  int32_t error = 0;
  OpenFile* file = NodeFile(Arg(slots, 0), &error);
  if (file == nullptr) return error == -ESPIPE ? -ENOTDIR : error;
  vfs::Stat stat;
  if ((error = file->node.fs->GetStat(file->node.id, &stat)) != 0) return error;
  if (!S_ISDIR(stat.mode)) return -ENOTDIR;
  const MutexLock lock(file->offset_lock, LockRank::kRename);
  EntryWriter writer = {Arg(slots, 1), Arg(slots, 2), file->offset, 0};
  if (file->offset == 0 && !EmitEntry(&writer, ".", stat.inode, S_IFDIR, 1))
    return writer.error != 0 ? writer.error : -EINVAL;
  if (writer.cookie == 1) (void)EmitEntry(&writer, "..", stat.inode, S_IFDIR, 2);
  if (writer.cookie >= 2) {
    const auto emit = [](void* cookie, std::string_view name, uint64_t inode, uint32_t type,
                         uint64_t next) { return EmitEntry(cookie, name, inode, type, next + 2); };
    error = file->node.fs->List(file->node.id, writer.cookie - 2, {&writer, emit});
    if (error != 0) return error;
  }
  if (writer.error != 0) return writer.error;
  file->offset = writer.cookie;
  return Arg(slots, 2) - writer.left;
}

constexpr CallRow kRows[] = {
    {"read", SysRead},
    {"write", SysWrite},
    {"readv", SysReadv},
    {"writev", SysWritev},
    {"pread64", SysPread},
    {"pwrite64", SysPwrite},
    {"preadv", SysPreadv},
    {"pwritev", SysPwritev},
    {"_llseek", SysLlseek},
    {"close", SysClose},
    {"dup", SysDup},
    {"dup3", SysDup3},
    {"fcntl64", SysFcntl},
    {"flock", SysFlock},
    {"ioctl", SysIoctl},
    {"ttyname", SysTtyname},
    {"pipe2", SysPipe2},
    {"ftruncate64", SysFtruncate},
    {"fallocate", SysFallocate},
    {"sync", SysSync},
    {"fsync", SysFsync},
    {"fdatasync", SysFsync},
    {"syncfs", SysFsync},
    {"getdents64", SysGetdents},
    {"fadvise64_64", SysFadvise},
};

}  // namespace

CallTable FileCalls() {
  return {kRows, std::size(kRows)};
}

}  // namespace cordon::kernel
