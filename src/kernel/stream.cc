// Streams: the rings through which a client's standard input, output and error reach the sandbox.
// The other side is the keeper, which cannot wake a guest by itself: it rings the service process,
// which wakes the queues.

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <new>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/open_file.h"

namespace cordon::kernel {
namespace {

using control::kRingBytes;
constexpr uint32_t kStreams = control::kMaxJobs * control::kRingsPerJob;

struct Stream {
  Mutex lock;
  WaitQueue queue;
  control::Ring* ring = nullptr;
};

Stream* streams = nullptr;  // in the arena; the pointer is inherited by clones

Stream& StreamOf(const OpenFile& file) {
  return *static_cast<Stream*>(file.object);
}

void RingKeeper() {
  control::Control& control = *TheKernel().control;
  control.keeper_bell.fetch_add(1);
  platform::WakeWord(&control.keeper_bell, 1);
}

bool Readable(void* argument) {
  control::Ring& ring = *static_cast<Stream*>(argument)->ring;
  if (ring.written.load() != ring.read.load() || ring.writer_closed.load() != 0) return true;
  ring.reader_wants.store(1);
  return ring.written.load() != ring.read.load() || ring.writer_closed.load() != 0;
}

bool Writable(void* argument) {
  control::Ring& ring = *static_cast<Stream*>(argument)->ring;
  if (ring.written.load() - ring.read.load() < kRingBytes || ring.reader_closed.load() != 0)
    return true;
  ring.writer_wants.store(1);
  return ring.written.load() - ring.read.load() < kRingBytes || ring.reader_closed.load() != 0;
}

int64_t ReadStream(OpenFile& file, void* to, uint64_t size) {
  Stream& stream = StreamOf(file);
  control::Ring& ring = *stream.ring;
  for (;;) {
    // Looked at first: what was left before the end is then seen.
    const bool ended = ring.writer_closed.load() != 0;
    {
      const MutexLock lock(stream.lock, LockRank::kInode);
      const uint32_t start = ring.read.load();
      const auto count =
          static_cast<uint32_t>(std::min<uint64_t>(size, ring.written.load() - start));
      if (count > 0) {
        const uint32_t first = std::min(count, kRingBytes - start % kRingBytes);
        auto* bytes = static_cast<std::byte*>(to);
        if (cordon_copy(bytes, ring.data + start % kRingBytes, first) != 0 ||
            cordon_copy(bytes + first, ring.data, count - first) != 0) {
          return -EFAULT;
        }
        ring.read.store(start + count);
        if (ring.writer_wants.exchange(0) != 0) platform::WakeWord(&ring.read, 1);
        return count;
      }
    }
    if (ended || size == 0) return 0;
    if (!file.blocks()) return -EAGAIN;
    const int32_t waited = WaitUntil(stream.queue, Readable, &stream, platform::kNever);
    if (waited != 0) return waited;
  }
}

int64_t WriteStream(OpenFile& file, const void* from, uint64_t size) {
  Stream& stream = StreamOf(file);
  control::Ring& ring = *stream.ring;
  const auto* bytes = static_cast<const std::byte*>(from);
  uint64_t done = 0;
  while (done < size) {
    {
      const MutexLock lock(stream.lock, LockRank::kInode);
      if (ring.reader_closed.load() != 0) {
        if (done > 0) return static_cast<int64_t>(done);
        Post(Current(), SIGPIPE);
        return -EPIPE;
      }
      const uint32_t start = ring.written.load();
      const auto count = static_cast<uint32_t>(
          std::min<uint64_t>(size - done, kRingBytes - (start - ring.read.load())));
      if (count > 0) {
        const uint32_t first = std::min(count, kRingBytes - start % kRingBytes);
        if (cordon_copy(ring.data + start % kRingBytes, bytes + done, first) != 0 ||
            cordon_copy(ring.data, bytes + done + first, count - first) != 0) {
          return done > 0 ? static_cast<int64_t>(done) : -EFAULT;
        }
        ring.written.store(start + count);
        if (ring.reader_wants.exchange(0) != 0) platform::WakeWord(&ring.written, 1);
        done += count;
        continue;
      }
    }
    if (!file.blocks()) return done > 0 ? static_cast<int64_t>(done) : -EAGAIN;
    const int32_t waited = WaitUntil(stream.queue, Writable, &stream, platform::kNever);
    if (waited != 0) return done > 0 ? static_cast<int64_t>(done) : waited;
  }
  return static_cast<int64_t>(done);
}

uint32_t PollStream(OpenFile& file) {
  Stream& stream = StreamOf(file);
  if (!file.writable()) {
    if (!Readable(&stream)) return 0;
    return POLLIN | POLLRDNORM |
           (stream.ring->written.load() == stream.ring->read.load() ? POLLHUP : 0);
  }
  if (stream.ring->reader_closed.load() != 0) return POLLERR | POLLOUT;
  return Writable(&stream) ? POLLOUT | POLLWRNORM : 0;
}

void StreamQueues(OpenFile& file, WaitQueue* out[2]) {
  out[0] = &StreamOf(file).queue;
  out[1] = nullptr;
}

void CloseStream(OpenFile& file) {
  control::Ring& ring = *StreamOf(file).ring;
  if (file.writable()) {
    ring.writer_closed.store(1);
    platform::WakeWord(&ring.written, 1);
  } else {
    ring.reader_closed.store(1);
    platform::WakeWord(&ring.read, 1);
  }
  RingKeeper();
}

int32_t StreamControl(OpenFile& file, uint32_t request, uint32_t argument) {
  if (request != 0x541b) return -ENOTTY;  // FIONREAD
  const control::Ring& ring = *StreamOf(file).ring;
  return Store(argument, static_cast<int32_t>(ring.written.load() - ring.read.load()));
}

// A stream has one end inside, which is closed once: who opens it again shares the description.
int32_t ReopenStream(OpenFile& file, uint32_t flags, OpenFile** out) {
  const uint32_t access = flags & O_ACCMODE;
  if ((access != O_WRONLY && !file.readable()) || (access != O_RDONLY && !file.writable()))
    return -EACCES;
  Retain(&file);
  *out = &file;
  return 0;
}

constexpr Operations kStreamOperations = {ReadStream,  WriteStream,   PollStream, StreamQueues,
                                          CloseStream, StreamControl, "pipe",     ReopenStream};

}  // namespace

void CreateStreams() {
  streams = static_cast<Stream*>(TheKernel().arena->Allocate(sizeof(Stream) * kStreams));
  for (uint32_t i = 0; i < kStreams; ++i) {
    new (&streams[i]) Stream;
    streams[i].ring = &TheKernel().control->rings[i];
  }
}

OpenFile* OpenStream(uint32_t ring, uint32_t flags) {
  return NewOpenFile(&kStreamOperations, flags, &streams[ring]);
}

void WakeStreams() {
  for (uint32_t i = 0; i < kStreams; ++i) streams[i].queue.WakeAll();
}

}  // namespace cordon::kernel
