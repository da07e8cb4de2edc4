// Streams: the rings through which a client's standard input, output and error reach the sandbox.
// The other side is the keeper, which cannot wake a guest by itself: it rings the service process,
// which wakes the queues.

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>

#include "arena/platform.h"
#include "kernel/guest_memory.h"
#include "kernel/open_file.h"

namespace cordon::kernel {
namespace {

using control::kRingBytes;
constexpr uint32_t kStreams = control::kRings;

struct Stream {
  Mutex lock;
  WaitQueue queue;
  control::Ring* ring = nullptr;
  // Changes, under the lock, when the ring passes to another run. A description keeps in `offset`
  // the one that it was opened in.
  std::atomic<uint32_t> generation{0};
};

Stream* streams = nullptr;  // in the arena; the pointer is inherited by clones

Stream& StreamOf(const OpenFile& file) {
  return *static_cast<Stream*>(file.object);
}

bool IsCutOff(const OpenFile& file) {
  return file.offset != StreamOf(file).generation.load();
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

struct StreamWait {
  Stream* stream;
  const OpenFile* file;
};

bool MayRead(void* argument) {
  const auto& wait = *static_cast<StreamWait*>(argument);
  return IsCutOff(*wait.file) || Readable(wait.stream);
}

bool MayWrite(void* argument) {
  const auto& wait = *static_cast<StreamWait*>(argument);
  return IsCutOff(*wait.file) || Writable(wait.stream);
}

int64_t ReadStream(OpenFile& file, void* to, uint64_t size) {
  Stream& stream = StreamOf(file);
  control::Ring& ring = *stream.ring;
  for (;;) {
    // Looked at first: what was left before the end is then seen.
    const bool ended = ring.writer_closed.load() != 0;
    {
      const MutexLock lock(stream.lock, LockRank::kInode);
      if (IsCutOff(file)) return 0;
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
        WakeKeeper(ring.writer_wants, ring.read);
        return count;
      }
    }
    if (ended || size == 0) return 0;
    if (!file.blocks()) return -EAGAIN;
    StreamWait wait = {&stream, &file};
    const int32_t waited = WaitUntil(stream.queue, MayRead, &wait, platform::kNever);
    if (waited != 0) return waited;
  }
}

// A session's shell says there that its run has ended.
bool IsPrompt(const Stream& stream) {
  return Current().run_job >= 0 &&
         &stream == &streams[control::kSessionJob * control::kRingsPerJob + 2];
}

int64_t WriteStream(OpenFile& file, const void* from, uint64_t size) {
  Stream& stream = StreamOf(file);
  control::Ring& ring = *stream.ring;
  const auto* bytes = static_cast<const std::byte*>(from);
  uint64_t done = 0;
  if (IsPrompt(stream)) {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    PublishRun(Current());
  }
  while (done < size) {
    {
      const MutexLock lock(stream.lock, LockRank::kInode);
      if (IsCutOff(file)) return static_cast<int64_t>(size);
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
        WakeKeeper(ring.reader_wants, ring.written);
        done += count;
        continue;
      }
    }
    if (!file.blocks()) return done > 0 ? static_cast<int64_t>(done) : -EAGAIN;
    StreamWait wait = {&stream, &file};
    const int32_t waited = WaitUntil(stream.queue, MayWrite, &wait, platform::kNever);
    if (waited != 0) return done > 0 ? static_cast<int64_t>(done) : waited;
  }
  return static_cast<int64_t>(done);
}

uint32_t PollStream(OpenFile& file) {
  Stream& stream = StreamOf(file);
  if (IsCutOff(file)) return file.writable() ? POLLOUT | POLLWRNORM : POLLIN | POLLRDNORM | POLLHUP;
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
  Stream& stream = StreamOf(file);
  control::Ring& ring = *stream.ring;
  const MutexLock lock(stream.lock, LockRank::kInode);
  if (IsCutOff(file)) return;
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

}  // namespace

const Operations kStreamOperations = {ReadStream,  WriteStream,   PollStream, StreamQueues,
                                      CloseStream, StreamControl, "pipe",     ReopenStream};

void RingKeeper() {
  control::Control& control = *TheKernel().control;
  control.keeper_bell.fetch_add(1);
  platform::WakeWord(&control.keeper_bell, control::kKeeperThreads);
}

void CreateStreams() {
  streams = static_cast<Stream*>(TheKernel().arena->Allocate(sizeof(Stream) * kStreams));
  for (uint32_t i = 0; i < kStreams; ++i) {
    new (&streams[i]) Stream;
    streams[i].ring = &TheKernel().control->rings[i];
  }
}

OpenFile* OpenStream(uint32_t ring, uint32_t flags) {
  OpenFile* file = NewOpenFile(&kStreamOperations, flags, nullptr);
  if (file != nullptr) BindToStream(*file, ring);
  return file;
}

void BindToStream(OpenFile& file, uint32_t ring) {
  file.object = &streams[ring];
  file.offset = streams[ring].generation.load();
}

int32_t OpenRunStream(uint32_t index, uint32_t flags, OpenFile** out) {
  const int32_t job = Current().run_job;
  if (index >= control::kRingsPerJob || job < 0) return -ENXIO;
  const bool writes = index == 1 || index == 2;
  if ((flags & O_ACCMODE) != (writes ? O_WRONLY : O_RDONLY)) return -EACCES;
  if (index == control::kScriptRing) BeginOwnRun();
  *out = OpenStream(static_cast<uint32_t>(job) * control::kRingsPerJob + index, flags);
  return *out == nullptr ? -ENFILE : 0;
}

void ResetStream(uint32_t index) {
  Stream& stream = streams[index];
  control::Ring& ring = *stream.ring;
  {
    const MutexLock lock(stream.lock, LockRank::kInode);
    stream.generation.fetch_add(1);
    for (auto* word : {&ring.written, &ring.read, &ring.writer_closed, &ring.reader_closed,
                       &ring.writer_wants, &ring.reader_wants}) {
      word->store(0);
    }
  }
  stream.queue.WakeAll();
}

void ResetStreams(uint32_t job) {
  for (uint32_t i = 0; i < control::kRingsPerJob; ++i) ResetStream(job * control::kRingsPerJob + i);
}

uint32_t StreamGeneration(uint32_t ring) {
  return streams[ring].generation.load();
}

void BorrowStream(uint32_t ring, uint32_t generation, uint32_t flags, OpenFile* out) {
  out->operations = &kStreamOperations;
  out->flags.store(flags);
  out->offset = generation;
  out->object = &streams[ring];
}

int32_t FeedStream(uint32_t job, uint32_t index, const void* bytes, uint32_t size) {
  Stream& stream = streams[job * control::kRingsPerJob + index];
  control::Ring& ring = *stream.ring;
  {
    const MutexLock lock(stream.lock, LockRank::kInode);
    const uint32_t start = ring.written.load();
    if (start - ring.read.load() > kRingBytes || size > kRingBytes - (start - ring.read.load()))
      return -EAGAIN;
    const uint32_t first = std::min(size, kRingBytes - start % kRingBytes);
    memcpy(ring.data + start % kRingBytes, bytes, first);
    memcpy(ring.data, static_cast<const std::byte*>(bytes) + first, size - first);
    ring.written.store(start + size);
  }
  stream.queue.WakeAll();
  return 0;
}

void WakeKeeper(std::atomic<uint32_t>& wants, std::atomic<uint32_t>& counter) {
  const uint32_t how = wants.exchange(0);
  if (how == control::kWantsBell) {
    RingKeeper();
  } else if (how != 0) {
    platform::WakeWord(&counter, 1);
  }
}

void WakeStreams() {
  for (uint32_t i = 0; i < kStreams; ++i) streams[i].queue.WakeAll();
}

}  // namespace cordon::kernel
