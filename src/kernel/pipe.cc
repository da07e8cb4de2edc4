// Pipes and FIFOs: a ring of 64 KiB with one lock for readers and one for writers, so that both
// copy at the same time.

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/open_file.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kRingBytes = 65536;
constexpr uint32_t kAtomicBytes = 4096;  // PIPE_BUF

struct Pipe {
  Mutex read_lock;
  Mutex write_lock;
  Mutex open_lock;                   // ends of a FIFO come and go
  std::atomic<uint32_t> written{0};  // counters run freely
  std::atomic<uint32_t> taken{0};
  std::atomic<uint32_t> readers{0};
  std::atomic<uint32_t> writers{0};
  std::atomic<uint32_t> opened_for_read{0};  // how often, for FIFOs
  std::atomic<uint32_t> opened_for_write{0};
  WaitQueue readable;
  WaitQueue writable;
  std::atomic<uint32_t> capacity{kRingBytes};  // changes under write_lock, never below the fill
  std::byte* data = nullptr;

  // Exact under the lock of the side that asks.
  [[nodiscard]] uint32_t fill() const {
    const uint32_t start = taken.load();
    return written.load() - start;
  }
  [[nodiscard]] uint32_t room() const {
    const uint32_t filled = fill();
    const uint32_t all = capacity.load();
    return filled < all ? all - filled : 0;
  }
};

Pipe& PipeOf(const OpenFile& file) {
  return *static_cast<Pipe*>(file.object);
}

Pipe* NewPipeObject() {
  Arena& arena = *TheKernel().arena;
  auto* pipe = arena.New<Pipe>();
  if (pipe == nullptr) return nullptr;
  pipe->data = static_cast<std::byte*>(arena.AllocateBuffer(kRingBytes));
  if (pipe->data != nullptr) return pipe;
  arena.Delete(pipe);
  return nullptr;
}

void FreePipe(void* object) {
  auto* pipe = static_cast<Pipe*>(object);
  TheKernel().arena->Free(pipe->data, kRingBytes);
  TheKernel().arena->Delete(pipe);
}

int64_t TakeBytes(Pipe& pipe, void* to, uint64_t size) {
  const uint32_t start = pipe.taken.load();
  const auto count = static_cast<uint32_t>(std::min<uint64_t>(size, pipe.written.load() - start));
  const uint32_t first = std::min(count, kRingBytes - start % kRingBytes);
  auto* bytes = static_cast<std::byte*>(to);
  if (cordon_copy(bytes, pipe.data + start % kRingBytes, first) != 0 ||
      cordon_copy(bytes + first, pipe.data, count - first) != 0) {
    return -EFAULT;
  }
  pipe.taken.store(start + count);
  return count;
}

int64_t PutBytes(Pipe& pipe, const void* from, uint64_t size) {
  const uint32_t start = pipe.written.load();
  const auto count = static_cast<uint32_t>(std::min<uint64_t>(size, pipe.room()));
  const uint32_t first = std::min(count, kRingBytes - start % kRingBytes);
  const auto* bytes = static_cast<const std::byte*>(from);
  if (cordon_copy(pipe.data + start % kRingBytes, bytes, first) != 0 ||
      cordon_copy(pipe.data, bytes + first, count - first) != 0) {
    return -EFAULT;
  }
  pipe.written.store(start + count);
  return count;
}

bool HasDataOrEnd(void* argument) {
  auto* pipe = static_cast<Pipe*>(argument);
  return pipe->fill() > 0 || pipe->writers.load() == 0;
}

struct RoomWanted {
  Pipe* pipe;
  uint32_t bytes;
};
bool HasRoomOrNobody(void* argument) {
  const auto& wanted = *static_cast<RoomWanted*>(argument);
  const uint32_t bytes = std::min(wanted.bytes, wanted.pipe->capacity.load());
  return wanted.pipe->room() >= bytes || wanted.pipe->readers.load() == 0;
}

int64_t ReadPipe(OpenFile& file, void* to, uint64_t size) {
  Pipe& pipe = PipeOf(file);
  if (size == 0) return 0;
  for (;;) {
    // Looked at first: what the last writer left before it went is then seen.
    const bool ended = pipe.writers.load() == 0;
    {
      const MutexLock lock(pipe.read_lock, LockRank::kInode);
      const bool was_full = pipe.room() < kAtomicBytes;
      if (pipe.fill() > 0) {
        const int64_t got = TakeBytes(pipe, to, size);
        // A writer sleeps only when there was not room for one atomic write; wake it when half is
        // free.
        if (was_full || !pipe.writable.empty()) pipe.writable.WakeAll();
        return got;
      }
    }
    if (ended) return 0;
    if (!file.blocks()) return -EAGAIN;
    const int32_t waited = WaitUntil(pipe.readable, HasDataOrEnd, &pipe, platform::kNever);
    if (waited != 0) return waited;
  }
}

int64_t WritePipe(OpenFile& file, const void* from, uint64_t size) {
  Pipe& pipe = PipeOf(file);
  const auto* bytes = static_cast<const std::byte*>(from);
  uint64_t done = 0;
  while (done < size) {
    const auto least = static_cast<uint32_t>(size <= kAtomicBytes ? size : 1);
    {
      const MutexLock lock(pipe.write_lock, LockRank::kInode);
      if (pipe.readers.load() == 0) {
        if (done > 0) return static_cast<int64_t>(done);
        Post(Current(), SIGPIPE);
        return -EPIPE;
      }
      if (pipe.room() >= least) {
        const int64_t put = PutBytes(pipe, bytes + done, size - done);
        if (put < 0) return done > 0 ? static_cast<int64_t>(done) : put;
        done += static_cast<uint64_t>(put);
        pipe.readable.WakeAll();
        continue;
      }
    }
    if (!file.blocks()) return done > 0 ? static_cast<int64_t>(done) : -EAGAIN;
    // Waking for each freed page would switch once for each page: wait for a quarter.
    RoomWanted wanted = {&pipe, std::max(least, static_cast<uint32_t>(std::min<uint64_t>(
                                                    size - done, pipe.capacity.load() / 4)))};
    const int32_t waited = WaitUntil(pipe.writable, HasRoomOrNobody, &wanted, platform::kNever);
    if (waited != 0) return done > 0 ? static_cast<int64_t>(done) : waited;
  }
  return static_cast<int64_t>(done);
}

uint32_t PollPipe(OpenFile& file) {
  Pipe& pipe = PipeOf(file);
  uint32_t events = 0;
  if (file.readable()) {
    if (pipe.fill() > 0) events |= POLLIN | POLLRDNORM;
    if (pipe.writers.load() == 0) events |= POLLHUP;
  }
  if (file.writable()) {
    if (pipe.room() >= kAtomicBytes) events |= POLLOUT | POLLWRNORM;
    if (pipe.readers.load() == 0) events |= POLLERR;
  }
  return events;
}

void PipeQueues(OpenFile& file, WaitQueue* out[2]) {
  out[0] = file.readable() ? &PipeOf(file).readable : nullptr;
  out[1] = file.writable() ? &PipeOf(file).writable : nullptr;
}

// True when it was the last end.
bool CloseEnd(OpenFile& file) {
  Pipe& pipe = PipeOf(file);
  if (file.readable()) pipe.readers.fetch_sub(1);
  if (file.writable()) pipe.writers.fetch_sub(1);
  pipe.readable.WakeAll();
  pipe.writable.WakeAll();
  // The opened_ counters count down here too, so the last closer of an anonymous pipe is
  // unambiguous.
  return pipe.opened_for_read.fetch_sub(1) == 1;
}

void ClosePipe(OpenFile& file) {
  if (CloseEnd(file)) FreePipe(file.object);
}

void CloseFifo(OpenFile& file) {
  Pipe& pipe = PipeOf(file);
  {
    const MutexLock lock(pipe.open_lock, LockRank::kInode);
    if (file.readable()) pipe.readers.fetch_sub(1);
    if (file.writable()) pipe.writers.fetch_sub(1);
    if (pipe.readers.load() == 0 && pipe.writers.load() == 0) pipe.taken.store(pipe.written.load());
  }
  pipe.readable.WakeAll();
  pipe.writable.WakeAll();
}

int32_t PipeControl(OpenFile& file, uint32_t request, uint32_t argument) {
  if (request != 0x541b) return -ENOTTY;  // FIONREAD
  return Store(argument, static_cast<int32_t>(PipeOf(file).fill()));
}

// The caller holds an end, so the pipe stays meanwhile.
int32_t ReopenPipe(OpenFile& file, uint32_t flags, OpenFile** out);

constexpr Operations kPipeOperations = {ReadPipe,  WritePipe,   PollPipe, PipeQueues,
                                        ClosePipe, PipeControl, "pipe",   ReopenPipe};
constexpr Operations kFifoOperations = {ReadPipe,  WritePipe,   PollPipe, PipeQueues,
                                        CloseFifo, PipeControl, "fifo"};

int32_t ReopenPipe(OpenFile& file, uint32_t flags, OpenFile** out) {
  Pipe& pipe = PipeOf(file);
  *out = NewOpenFile(&kPipeOperations, flags & (O_ACCMODE | O_NONBLOCK), &pipe);
  if (*out == nullptr) return -ENFILE;
  if ((*out)->readable()) pipe.readers.fetch_add(1);
  if ((*out)->writable()) pipe.writers.fetch_add(1);
  pipe.opened_for_read.fetch_add(1);
  return 0;
}

bool IsPipe(const OpenFile& file) {
  return file.operations == &kPipeOperations || file.operations == &kFifoOperations;
}

struct PeerWanted {
  std::atomic<uint32_t>* now;
  std::atomic<uint32_t>* ever;
  uint32_t seen;
};
bool PeerCame(void* argument) {
  auto* wanted = static_cast<PeerWanted*>(argument);
  return wanted->now->load() > 0 || wanted->ever->load() != wanted->seen;
}

struct Peers {
  uint32_t readers_ever, writers_ever;
  bool has_reader, has_writer;
};

// Counts a new end of a FIFO, and says who was there before. A peer may come, write and go before
// the opener looks again: who was there, and everyone who comes later, counts.
Peers Enter(Pipe& pipe, const OpenFile& file) {
  Peers peers;
  {
    const MutexLock lock(pipe.open_lock, LockRank::kInode);
    peers = {pipe.opened_for_read.load(), pipe.opened_for_write.load(), pipe.readers.load() > 0,
             pipe.writers.load() > 0};
    if (file.readable()) pipe.readers.fetch_add(1), pipe.opened_for_read.fetch_add(1);
    if (file.writable()) pipe.writers.fetch_add(1), pipe.opened_for_write.fetch_add(1);
  }
  pipe.readable.WakeAll();
  pipe.writable.WakeAll();
  return peers;
}

}  // namespace

int32_t NewPipe(uint32_t flags, OpenFile** reader, OpenFile** writer) {
  Pipe* pipe = NewPipeObject();
  if (pipe == nullptr) return -ENFILE;
  *reader = NewOpenFile(&kPipeOperations, O_RDONLY | (flags & O_NONBLOCK), pipe);
  *writer = NewOpenFile(&kPipeOperations, O_WRONLY | (flags & O_NONBLOCK), pipe);
  if (*reader == nullptr || *writer == nullptr) {
    if (*reader != nullptr) FreeOpenFile(*reader);
    if (*writer != nullptr) FreeOpenFile(*writer);
    FreePipe(pipe);
    return -ENFILE;
  }
  pipe->readers = 1;
  pipe->writers = 1;
  pipe->opened_for_read = 2;  // ends
  return 0;
}

int32_t PipeCapacity(const OpenFile& file) {
  return IsPipe(file) ? static_cast<int32_t>(PipeOf(file).capacity.load()) : -EBADF;
}

int32_t SetPipeCapacity(OpenFile& file, uint32_t bytes) {
  if (!IsPipe(file)) return -EBADF;
  if (bytes > kRingBytes) return bytes > INT32_MAX ? -EINVAL : -EPERM;
  Pipe& pipe = PipeOf(file);
  const uint32_t capacity = std::bit_ceil(std::max(bytes, kAtomicBytes));
  {
    const MutexLock lock(pipe.write_lock, LockRank::kInode);
    if (pipe.fill() > capacity) return -EBUSY;
    pipe.capacity.store(capacity);
  }
  pipe.writable.WakeAll();
  return static_cast<int32_t>(capacity);
}

int32_t OpenFifo(const vfs::Node& node, uint32_t flags, OpenFile** out) {
  vfs::Attachment* attachment = node.fs->AttachmentOf(node.id);
  if (attachment == nullptr) return -ENXIO;
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    if (attachment->object == nullptr) {
      attachment->object = NewPipeObject();
      attachment->release = FreePipe;
    }
  }
  if (attachment->object == nullptr) return -ENFILE;
  OpenFile* file = NewOpenFile(&kFifoOperations, flags, attachment->object);
  if (file == nullptr) return -ENFILE;
  Pipe& pipe = PipeOf(*file);
  file->node = node;
  node.fs->Reference(node.id);
  // A peer may come, write and go again before this side looks: what was there when this side came
  // counts, and every one that came later.
  const Peers peers = Enter(pipe, *file);
  int32_t result = 0;
  if (file->readable() && file->writable()) {
    result = 0;
  } else if (file->readable()) {
    PeerWanted wanted = {&pipe.writers, &pipe.opened_for_write, peers.writers_ever};
    if (!peers.has_writer && file->blocks())
      result = WaitUntil(pipe.readable, PeerCame, &wanted, platform::kNever);
  } else if (!peers.has_reader) {
    PeerWanted wanted = {&pipe.readers, &pipe.opened_for_read, peers.readers_ever};
    result =
        file->blocks() ? WaitUntil(pipe.writable, PeerCame, &wanted, platform::kNever) : -ENXIO;
  }
  if (result != 0) {
    Release(file);
    return result;
  }
  *out = file;
  return 0;
}

}  // namespace cordon::kernel
