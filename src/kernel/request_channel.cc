// Conversations that a guest begins with the keeper: /dev/cordon/pkg, opened for reading and
// writing. What is written goes into a ring that the keeper reads, and what it answers comes out;
// the end of file is the keeper's, the close is the guest's. One at a time has a channel, and
// whoever shares the description shares it.

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>

#include "arena/platform.h"
#include "kernel/open_file.h"
#include "vfs/memory_fs.h"

namespace cordon::kernel {
namespace {

using control::Channel;

// A description keeps the number of its channel as `object`, and in `offset` the two generations of
// its rings.
uint32_t NumberOf(const OpenFile& file) {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(file.object));
}

enum Ring : uint32_t { kAnswers = 0, kRequests = 1 };

uint32_t RingOf(uint32_t channel, Ring ring) {
  return control::kFirstChannelRing + channel * control::kRingsPerChannel + ring;
}

void Borrow(const OpenFile& file, Ring ring, OpenFile* out) {
  const uint32_t waits = file.flags.load(std::memory_order_relaxed) & O_NONBLOCK;
  const auto generation = static_cast<uint32_t>(ring == kAnswers ? file.offset : file.offset >> 32);
  BorrowStream(RingOf(NumberOf(file), ring), generation,
               waits | (ring == kAnswers ? O_RDONLY : O_WRONLY), out);
}

int64_t ReadChannel(OpenFile& file, void* to, uint64_t size) {
  OpenFile ring;
  Borrow(file, kAnswers, &ring);
  return ring.operations->read(ring, to, size);
}

int64_t WriteChannel(OpenFile& file, const void* from, uint64_t size) {
  OpenFile ring;
  Borrow(file, kRequests, &ring);
  return ring.operations->write(ring, from, size);
}

uint32_t PollChannel(OpenFile& file) {
  OpenFile answers;
  OpenFile requests;
  Borrow(file, kAnswers, &answers);
  Borrow(file, kRequests, &requests);
  return answers.operations->poll(answers) | requests.operations->poll(requests);
}

void ChannelQueues(OpenFile& file, WaitQueue* out[2]) {
  OpenFile ring;
  WaitQueue* one[2] = {};
  Borrow(file, kAnswers, &ring);
  ring.operations->queues(ring, one);
  out[0] = one[0];
  Borrow(file, kRequests, &ring);
  ring.operations->queues(ring, one);
  out[1] = one[0];
}

void CloseChannel(OpenFile& file) {
  for (const Ring which : {kAnswers, kRequests}) {
    OpenFile ring;
    Borrow(file, which, &ring);
    ring.operations->close(ring);
  }
  TheKernel().control->channels[NumberOf(file)].state.store(Channel::kClosed);
  RingKeeper();
}

int32_t ChannelControl(OpenFile& file, uint32_t request, uint32_t argument) {
  OpenFile ring;
  Borrow(file, kAnswers, &ring);
  return ring.operations->control(ring, request, argument);
}

// As /proc/self/fd does.
int32_t ReopenChannel(OpenFile& file, uint32_t flags, OpenFile** out) {
  if ((flags & O_ACCMODE) != O_RDWR) return -EACCES;
  Retain(&file);
  *out = &file;
  return 0;
}

constexpr Operations kChannelOperations = {ReadChannel,   WriteChannel, PollChannel,
                                           ChannelQueues, CloseChannel, ChannelControl,
                                           "channel",     ReopenChannel};

}  // namespace

int32_t OpenRequestChannel(uint32_t flags, OpenFile** out) {
  control::Control& control = *TheKernel().control;
  if (control.serves_requests == 0) return -ENXIO;
  if ((flags & O_ACCMODE) != O_RDWR) return -EACCES;
  for (uint32_t i = 0; i < control::kMaxChannels; ++i) {
    uint32_t expected = Channel::kFree;
    if (!control.channels[i].state.compare_exchange_strong(expected, Channel::kTaken)) continue;
    OpenFile* file =
        NewOpenFile(&kChannelOperations, flags, reinterpret_cast<void*>(static_cast<uintptr_t>(i)));
    if (file == nullptr) {
      control.channels[i].state.store(Channel::kFree);
      return -ENFILE;
    }
    for (const Ring ring : {kAnswers, kRequests}) ResetStream(RingOf(i, ring));
    file->offset = StreamGeneration(RingOf(i, kAnswers)) |
                   uint64_t{StreamGeneration(RingOf(i, kRequests))} << 32;
    control.channels[i].run.store(Current().run);
    control.channels[i].state.store(Channel::kOpen);
    RingKeeper();
    *out = file;
    return 0;
  }
  return -EBUSY;
}

void CreateRequestChannels() {
  if (TheKernel().control->serves_requests == 0) return;
  vfs::FileSystem& fs = *TheKernel().files;
  const vfs::Credentials root;
  vfs::Node dev;
  if (fs.Lookup(root, fs.Root().id, "dev", &dev) != 0) return;
  vfs::Node folder;
  if (fs.Lookup(root, dev.id, "cordon", &folder) == 0) {
    vfs::Node made;
    if (fs.Create(root, folder.id, "pkg", S_IFCHR | 0666, kRequestDevice, &made) == 0) {
      fs.Release(made.id);
    }
    fs.Release(folder.id);
  }
  fs.Release(dev.id);
}

}  // namespace cordon::kernel
