// Open files of a file system, and devices.

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/open_file.h"
#include "kernel/proc_fs.h"
#include "kernel/process.h"
#include "kernel/terminal.h"
#include "kernel/terminal_nodes.h"

namespace cordon::kernel {
namespace {

int64_t ReadNode(OpenFile& file, void* to, uint64_t size) {
  const MutexLock lock(file.offset_lock, LockRank::kRename);
  const int64_t got = file.node.fs->Read(file.node.id, file.offset, to, size);
  if (got > 0) file.offset += static_cast<uint64_t>(got);
  Current().used.AddRead(got);
  return got;
}

int64_t WriteNode(OpenFile& file, const void* from, uint64_t size) {
  const MutexLock lock(file.offset_lock, LockRank::kRename);
  const bool append = (file.flags.load(std::memory_order_relaxed) & O_APPEND) != 0;
  uint64_t end = 0;
  const int64_t put =
      file.node.fs->Write(file.node.id, append ? vfs::kAppend : file.offset, from, size, &end);
  if (put > 0) file.offset = append ? end : file.offset + static_cast<uint64_t>(put);
  Current().used.AddWritten(put);
  return put;
}

uint32_t PollReady(OpenFile& file) {
  return (file.readable() ? POLLIN | POLLRDNORM : 0) | (file.writable() ? POLLOUT | POLLWRNORM : 0);
}

void NoQueues(OpenFile& /*file*/, WaitQueue* out[2]) {
  out[0] = out[1] = nullptr;
}

int32_t NodeControl(OpenFile& file, uint32_t request, uint32_t argument) {
  if (request != 0x541b) return -ENOTTY;  // FIONREAD
  vfs::Stat stat;
  const int error = file.node.fs->GetStat(file.node.id, &stat);
  if (error != 0) return error;
  const int64_t left = stat.size - static_cast<int64_t>(file.offset);
  return Store(argument, static_cast<int32_t>(std::clamp<int64_t>(left, 0, INT32_MAX)));
}

int32_t NoControl(OpenFile& /*file*/, uint32_t /*request*/, uint32_t /*argument*/) {
  return -ENOTTY;
}

alignas(64) constexpr std::byte kZeros[65536] = {};

int64_t ReadNull(OpenFile& /*file*/, void* /*to*/, uint64_t /*size*/) {
  return 0;
}
int64_t WriteNull(OpenFile& /*file*/, const void* /*from*/, uint64_t size) {
  return static_cast<int64_t>(size);
}
int64_t WriteFull(OpenFile& /*file*/, const void* /*from*/, uint64_t /*size*/) {
  return -ENOSPC;
}

int64_t ReadZero(OpenFile& /*file*/, void* to, uint64_t size) {
  for (uint64_t done = 0; done < size;) {
    const uint64_t part = std::min<uint64_t>(size - done, sizeof kZeros);
    if (cordon_copy(static_cast<std::byte*>(to) + done, kZeros, part) != 0) return -EFAULT;
    done += part;
  }
  return static_cast<int64_t>(size);
}

int64_t ReadRandom(OpenFile& /*file*/, void* to, uint64_t size) {
  std::byte part[256];
  for (uint64_t done = 0; done < size;) {
    const uint64_t count = std::min<uint64_t>(size - done, sizeof part);
    platform::FillRandom(part, count);
    if (cordon_copy(static_cast<std::byte*>(to) + done, part, count) != 0) return -EFAULT;
    done += count;
  }
  return static_cast<int64_t>(size);
}

constexpr Operations kNull = {ReadNull, WriteNull, PollReady, NoQueues, nullptr, NoControl, "null"};
constexpr Operations kZero = {ReadZero, WriteNull, PollReady, NoQueues, nullptr, NoControl, "zero"};
constexpr Operations kFull = {ReadZero, WriteFull, PollReady, NoQueues, nullptr, NoControl, "full"};
constexpr Operations kRandom = {ReadRandom, WriteNull, PollReady, NoQueues,
                                nullptr,    NoControl, "random"};

// Linux's numbers, Documentation/admin-guide/devices.txt.
struct DeviceRow {
  uint32_t major, minor;
  const Operations* operations;
};
constexpr DeviceRow kDevices[] = {
    {1, 3, &kNull}, {1, 5, &kZero}, {1, 7, &kFull}, {1, 8, &kRandom}, {1, 9, &kRandom},
};

// Of the numbers that Linux leaves to local use.
constexpr uint64_t kHostCallDevice = kRunMajor << 8 | 16;

int32_t OpenTerminalDevice(uint64_t rdev, uint32_t flags, OpenFile** out) {
  constexpr uint64_t kControlling = 5 << 8;
  Terminal* terminal = nullptr;
  if (rdev == kControlling) {
    terminal = ControllingTerminal();
    if (terminal != nullptr) Retain(terminal);
  } else {
    terminal = TerminalByNumber(static_cast<uint32_t>(rdev & 0xff));
  }
  if (terminal == nullptr) return -ENXIO;
  if (terminal->locked || terminal->hung_up.load()) {
    Release(terminal);
    return -EIO;
  }
  // The leader of a session without a terminal gets the first one that it opens.
  if ((flags & O_NOCTTY) == 0 && rdev != kControlling) (void)TakeControl(*terminal);
  *out = OpenTerminal(terminal, flags & ~static_cast<uint32_t>(O_NOCTTY));
  return *out == nullptr ? -ENFILE : 0;
}

}  // namespace

const Operations kNodeOperations = {ReadNode, WriteNode,   PollReady, NoQueues,
                                    nullptr,  NodeControl, "file"};

int32_t OpenDevice(uint64_t rdev, uint32_t flags, OpenFile** out) {
  constexpr uint64_t kMaster = 5 << 8 | 2;
  if (rdev == kMaster) return OpenMaster(flags & ~static_cast<uint32_t>(O_NOCTTY), out);
  if (rdev == 5 << 8 || rdev >> 8 == kPtsMajor) return OpenTerminalDevice(rdev, flags, out);
  flags &= ~static_cast<uint32_t>(O_NOCTTY);
  if (rdev == kHostCallDevice) return OpenHostCall(flags, out);
  if (rdev == kRequestDevice) return OpenRequestChannel(flags, out);
  if (rdev >> 8 == kRunMajor) return OpenRunStream(static_cast<uint32_t>(rdev & 0xff), flags, out);
  for (const DeviceRow& row : kDevices) {
    if (rdev != (uint64_t{row.major} << 8 | row.minor)) continue;
    *out = NewOpenFile(row.operations, flags, nullptr);
    return *out == nullptr ? -ENFILE : 0;
  }
  return -ENXIO;
}

int StatOpenFile(const OpenFile& file, vfs::Stat* out) {
  if (file.node.fs != nullptr) return file.node.fs->GetStat(file.node.id, out);
  *out = {};
  out->inode = reinterpret_cast<uint64_t>(file.object) >> 4 & 0xffffffff;
  out->mode = file.operations->mode;
  out->links = 1;
  out->uid = Current().who.uid;
  out->gid = Current().who.gid;
  return 0;
}

bool IsMemoryDevice(const OpenFile& file) {
  return std::any_of(std::begin(kDevices), std::end(kDevices),
                     [&file](const DeviceRow& row) { return row.operations == file.operations; });
}

int32_t OpenNode(const vfs::Node& node, uint32_t flags, OpenFile** out) {
  if (IsDescriptorNode(node) && (flags & O_PATH) == 0)
    return ReopenDescriptor(node, flags & ~static_cast<uint32_t>(O_NOCTTY), out);
  vfs::Stat stat;
  int error = node.fs->GetStat(node.id, &stat);
  const uint32_t type = stat.mode & S_IFMT;
  if (error == 0 && (flags & O_PATH) == 0) {
    if (type == S_IFIFO) error = OpenFifo(node, flags & ~static_cast<uint32_t>(O_NOCTTY), out);
    if (type == S_IFCHR) error = OpenDevice(stat.rdev, flags, out);
    if (type == S_IFSOCK) error = -ENXIO;
  }
  if (error != 0) {
    node.fs->Release(node.id);
    return error;
  }
  if ((flags & O_PATH) != 0 || type == S_IFREG || type == S_IFDIR || type == S_IFLNK) {
    *out = NewOpenFile(&kNodeOperations, flags & ~static_cast<uint32_t>(O_NOCTTY), nullptr);
    if (*out == nullptr) {
      node.fs->Release(node.id);
      return -ENFILE;
    }
  }
  if ((*out)->node.fs != nullptr) {
    node.fs->Release(node.id);  // a FIFO took its own
  } else {
    (*out)->node = node;
  }
  return 0;
}

}  // namespace cordon::kernel
