// The channel of a command that is served outside: two rings under one descriptor, bound to one of
// the calls in the control page. What is said in them is between our program inside
// (guest/programs/host-command.c) and the keeper; to the kernel it is bytes.

#include <fcntl.h>
#include <poll.h>

#include <cerrno>

#include "kernel/open_file.h"

namespace cordon::kernel {
namespace {

// Descriptions of its own, which no descriptor has: what a stream does, this does twice.
struct Channel {
  OpenFile output, input;
  control::HostCall* call = nullptr;
};

Channel& ChannelOf(const OpenFile& file) {
  return *static_cast<Channel*>(file.object);
}

// Whether calls block is said of the channel, and may be said anew.
OpenFile& Through(const OpenFile& file, OpenFile& direction) {
  const uint32_t blocking = file.flags.load(std::memory_order_relaxed) & O_NONBLOCK;
  direction.flags = (direction.flags.load(std::memory_order_relaxed) & O_ACCMODE) | blocking;
  return direction;
}

int64_t ReadChannel(OpenFile& file, void* to, uint64_t size) {
  return kStreamOperations.read(Through(file, ChannelOf(file).input), to, size);
}

int64_t WriteChannel(OpenFile& file, const void* from, uint64_t size) {
  return kStreamOperations.write(Through(file, ChannelOf(file).output), from, size);
}

uint32_t PollChannel(OpenFile& file) {
  Channel& channel = ChannelOf(file);
  return kStreamOperations.poll(channel.input) | kStreamOperations.poll(channel.output);
}

void ChannelQueues(OpenFile& file, WaitQueue* out[2]) {
  WaitQueue* of_one[2];
  kStreamOperations.queues(ChannelOf(file).input, of_one);
  out[0] = of_one[0];
  kStreamOperations.queues(ChannelOf(file).output, of_one);
  out[1] = of_one[0];
}

void CloseChannel(OpenFile& file) {
  Channel& channel = ChannelOf(file);
  kStreamOperations.close(channel.output);
  kStreamOperations.close(channel.input);
  // From here on the keeper may free it for somebody else.
  channel.call->state.store(control::HostCall::kClosed);
  TheKernel().arena->Delete(&channel);
  RingKeeper();
}

int32_t ChannelControl(OpenFile& file, uint32_t request, uint32_t argument) {
  return kStreamOperations.control(ChannelOf(file).input, request, argument);
}

constexpr Operations kChannelOperations = {ReadChannel,  WriteChannel,   PollChannel, ChannelQueues,
                                           CloseChannel, ChannelControl, "host-call"};

int32_t TakeCall(control::Control& control) {
  for (uint32_t i = 0; i < control::kMaxHostCalls; ++i) {
    uint32_t expected = control::HostCall::kFree;
    if (control.host_calls[i].state.compare_exchange_strong(expected,
                                                            control::HostCall::kPreparing))
      return static_cast<int32_t>(i);
  }
  return -EBUSY;
}

}  // namespace

int32_t OpenHostCall(uint32_t flags, OpenFile** out) {
  if ((flags & O_ACCMODE) != O_RDWR) return -EACCES;
  control::Control& control = *TheKernel().control;
  if (control.serves_host_calls.load() == 0) return -ENXIO;
  auto* channel = TheKernel().arena->New<Channel>();
  if (channel == nullptr) return -ENFILE;
  OpenFile* file = NewOpenFile(&kChannelOperations, flags, channel);
  const int32_t taken = file == nullptr ? -ENFILE : TakeCall(control);
  if (taken < 0) {
    if (file != nullptr) FreeOpenFile(file);
    TheKernel().arena->Delete(channel);
    return taken;
  }
  const uint32_t first =
      control::kHostCallRings + static_cast<uint32_t>(taken) * control::kRingsPerHostCall;
  ResetStream(first);
  ResetStream(first + 1);
  channel->output.flags = O_WRONLY;
  channel->input.flags = O_RDONLY;
  BindToStream(channel->output, first);
  BindToStream(channel->input, first + 1);
  channel->call = &control.host_calls[taken];
  channel->call->state.store(control::HostCall::kOpen);
  RingKeeper();
  *out = file;
  return 0;
}

}  // namespace cordon::kernel
