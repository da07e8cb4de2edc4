// Pseudo-terminals: the master's side, and the names of all terminals.

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/terminal.h"
#include "kernel/terminal_nodes.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kTtyGroup = 5;

Terminal& Object(const OpenFile& file) {
  return *static_cast<Terminal*>(file.object);
}

bool HasOutput(void* argument) {
  auto* terminal = static_cast<Terminal*>(argument);
  const MutexLock lock(terminal->lock, LockRank::kInode);
  if (terminal->output->written != terminal->output->taken) return true;
  return terminal->was_opened && terminal->programs.load() == 0;
}

int64_t TakeOutput(Terminal& terminal, void* to, uint64_t size) {
  const MutexLock lock(terminal.lock, LockRank::kInode);
  OutputQueue& queue = *terminal.output;
  const auto count = static_cast<uint32_t>(std::min<uint64_t>(size, queue.written - queue.taken));
  const uint32_t start = queue.taken % OutputQueue::kBytes;
  const uint32_t first = std::min(count, OutputQueue::kBytes - start);
  auto* bytes = static_cast<std::byte*>(to);
  if (cordon_copy(bytes, queue.data + start, first) != 0 ||
      cordon_copy(bytes + first, queue.data, count - first) != 0) {
    return -EFAULT;
  }
  queue.taken += count;
  return count;
}

int64_t ReadMaster(OpenFile& file, void* to, uint64_t size) {
  Terminal& terminal = Object(file);
  if (size == 0) return 0;
  for (;;) {
    const bool ended = terminal.was_opened && terminal.programs.load() == 0;
    const int64_t got = TakeOutput(terminal, to, size);
    if (got > 0) terminal.output_changed.WakeAll();
    if (got != 0) return got;
    if (ended) return -EIO;
    if (!file.blocks()) return -EAGAIN;
    const int32_t waited =
        WaitUntil(terminal.output_changed, HasOutput, &terminal, platform::kNever);
    if (waited != 0) return waited;
  }
}

bool TakesInput(void* argument) {
  auto* terminal = static_cast<Terminal*>(argument);
  const MutexLock lock(terminal->lock, LockRank::kInode);
  return CanReceive(*terminal);
}

int64_t WriteMaster(OpenFile& file, const void* from, uint64_t size) {
  Terminal& terminal = Object(file);
  const auto* bytes = static_cast<const std::byte*>(from);
  uint64_t done = 0;
  while (done < size) {
    uint8_t part[256];
    const auto count = static_cast<uint32_t>(std::min<uint64_t>(size - done, sizeof part));
    if (cordon_copy(part, bytes + done, count) != 0) {
      return done > 0 ? static_cast<int64_t>(done) : -EFAULT;
    }
    uint32_t taken = 0;
    {
      const MutexLock lock(terminal.lock, LockRank::kInode);
      while (taken < count && CanReceive(terminal)) Receive(terminal, part[taken++]);
    }
    done += taken;
    if (taken == count) continue;
    if (!file.blocks()) return done > 0 ? static_cast<int64_t>(done) : -EAGAIN;
    const int32_t waited =
        WaitUntil(terminal.input_changed, TakesInput, &terminal, platform::kNever);
    if (waited != 0) return done > 0 ? static_cast<int64_t>(done) : waited;
  }
  return static_cast<int64_t>(done);
}

uint32_t PollMaster(OpenFile& file) {
  Terminal& terminal = Object(file);
  uint32_t events = TakesInput(&terminal) ? POLLOUT | POLLWRNORM : 0;
  const MutexLock lock(terminal.lock, LockRank::kInode);
  if (terminal.output->written != terminal.output->taken) events |= POLLIN | POLLRDNORM;
  if (terminal.was_opened && terminal.programs.load() == 0) events |= POLLHUP;
  return events;
}

void MasterQueues(OpenFile& file, WaitQueue* out[2]) {
  out[0] = &Object(file).output_changed;
  out[1] = &Object(file).input_changed;
}

void CloseMaster(OpenFile& file) {
  HangUp(Object(file));
  Release(&Object(file));
}

int32_t OpenPeer(Terminal& terminal, uint32_t flags) {
  Retain(&terminal);
  OpenFile* peer = OpenTerminal(&terminal, flags & (O_ACCMODE | O_NONBLOCK));
  return peer == nullptr ? -ENFILE : Install(peer, 0, (flags & O_CLOEXEC) != 0);
}

int32_t ControlMaster(OpenFile& file, uint32_t request, uint32_t argument) {
  Terminal& terminal = Object(file);
  switch (request) {
    case TIOCGPTN:
      return Store(argument, terminal.number);
    case TIOCSPTLCK: {
      uint32_t locked = 0;
      if (Load(&locked, argument) != 0) return -EFAULT;
      terminal.locked = locked != 0;
      return 0;
    }
    case TIOCGPTLCK:
      return Store(argument, uint32_t{terminal.locked});
    case TIOCGPTPEER:
      return OpenPeer(terminal, argument);
    case TIOCGPGRP:
      return Store(argument, terminal.foreground.load());
    case TIOCGSID:
      return Store(argument, terminal.session.load());
    case TIOCSCTTY:
    case TIOCNOTTY:
      return -ENOTTY;
    case FIONREAD:
      return Store(argument, terminal.output->written - terminal.output->taken);
    default:
      return TerminalControl(terminal, request, argument);
  }
}

constexpr Operations kMasterOperations = {ReadMaster,  WriteMaster,   PollMaster, MasterQueues,
                                          CloseMaster, ControlMaster, "ptmx"};

// The directory of terminals, referenced, or without a file system.
vfs::Node Directory() {
  vfs::FileSystem& fs = *TheKernel().files;
  const vfs::Credentials root;
  vfs::Node dev;
  vfs::Node pts;
  if (fs.Lookup(root, fs.Root().id, "dev", &dev) != 0) return {};
  if (fs.Lookup(root, dev.id, "pts", &pts) != 0) pts = {};
  fs.Release(dev.id);
  return pts;
}

struct Name {
  char text[12];
  explicit Name(uint32_t number) { snprintf(text, sizeof text, "%u", number); }
};

}  // namespace

void CreateTerminalNodes() {
  vfs::FileSystem& fs = *TheKernel().files;
  const vfs::Credentials root;
  vfs::Node dev;
  if (fs.Lookup(root, fs.Root().id, "dev", &dev) != 0) return;
  vfs::Node made;
  if (fs.Create(root, dev.id, "pts", S_IFDIR | 0755, 0, &made) == 0) fs.Release(made.id);
  if (fs.Create(root, dev.id, "ptmx", S_IFCHR | 0666, 5 << 8 | 2, &made) == 0) {
    fs.Release(made.id);
  }
  fs.Release(dev.id);
}

void AddTerminalNode(uint32_t number) {
  const vfs::Node directory = Directory();
  if (directory.fs == nullptr) return;
  const vfs::Credentials root;
  vfs::Node made;
  if (directory.fs->Create(root, directory.id, Name(number).text, S_IFCHR | 0620,
                           kPtsMajor << 8 | number, &made) == 0) {
    vfs::Attributes owner;
    owner.fields = vfs::Attributes::kUid | vfs::Attributes::kGid;
    owner.uid = Current().who.uid;
    owner.gid = kTtyGroup;
    (void)directory.fs->SetAttributes(root, made.id, owner);
    directory.fs->Release(made.id);
  }
  directory.fs->Release(directory.id);
}

void RemoveTerminalNode(uint32_t number) {
  const vfs::Node directory = Directory();
  if (directory.fs == nullptr) return;
  (void)directory.fs->Remove({}, directory.id, Name(number).text, vfs::FileSystem::Removal::kFile);
  directory.fs->Release(directory.id);
}

vfs::Node TerminalNode(uint32_t number) {
  const vfs::Node directory = Directory();
  if (directory.fs == nullptr) return {};
  vfs::Node node;
  if (directory.fs->Lookup({}, directory.id, Name(number).text, &node) != 0) node = {};
  directory.fs->Release(directory.id);
  return node;
}

int32_t OpenMaster(uint32_t flags, OpenFile** out) {
  Terminal* terminal = NewTerminal();
  if (terminal == nullptr) return -ENOSPC;
  terminal->locked = true;
  terminal->output = TheKernel().arena->New<OutputQueue>();
  *out = terminal->output == nullptr ? nullptr : NewOpenFile(&kMasterOperations, flags, terminal);
  if (*out != nullptr) return 0;
  Release(terminal);
  return -ENFILE;
}

}  // namespace cordon::kernel
