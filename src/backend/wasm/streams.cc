#include "backend/wasm/streams.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <thread>
#include <utility>

#include "arena/platform.h"
#include "backend/wasm/keeper.h"
#include "base/blocked_signals.h"

namespace cordon::backend {

using control::kRingBytes;

struct JobStreams::Pump {
  std::shared_ptr<SharedMapping> mapping;
  control::Control* control = nullptr;
  control::Ring* ring = nullptr;
  int fd = -1;
  uint64_t limit_bytes = UINT64_MAX;
  std::atomic<uint64_t> bytes = 0;
  std::atomic<bool> truncated = false;
  std::atomic<bool> damaged = false;
  std::atomic<bool> draining = false;  // nothing more will come: end when the ring is empty
  std::atomic<uint32_t> ended = 0;
};

namespace {

using Pump = JobStreams::Pump;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr uint64_t kNextTryNs = 500'000;

void RingService(control::Control& control) {
  control.service_bell.fetch_add(1);
  platform::WakeWord(&control.service_bell, 1);
}

// True when the call on the descriptor is to be made again.
bool IsTemporary(int fd, short events) {
  if (errno == EINTR) return true;
  if (errno != EAGAIN) return false;
  // Another process made it non-blocking.
  pollfd wait = {fd, events, 0};
  (void)poll(&wait, 1, -1);
  return true;
}

void Damage(Pump& pump) {
  pump.damaged.store(true);
  Keeper::WakeUp(*pump.control);
}

// From the descriptor to the ring until end of file or until nobody inside reads any more.
void PumpIn(Pump& pump) {
  control::Ring& ring = *pump.ring;
  uint32_t written = ring.written.load();
  while (ring.reader_closed.load() == 0) {
    const uint32_t read_count = ring.read.load();
    const uint32_t fill = written - read_count;
    if (fill > kRingBytes) return Damage(pump);
    if (fill == kRingBytes) {
      ring.writer_wants.store(1);
      if (ring.read.load() == read_count && ring.reader_closed.load() == 0) {
        platform::WaitOnWord(&ring.read, read_count, platform::kNever);
      }
      continue;
    }
    const uint32_t start = written % kRingBytes;
    const uint32_t room = std::min(kRingBytes - fill, kRingBytes - start);
    const ssize_t got = read(pump.fd, ring.data + start, room);
    if (got < 0 && IsTemporary(pump.fd, POLLIN)) continue;
    if (got <= 0) break;
    pump.bytes.fetch_add(static_cast<uint64_t>(got));
    written += static_cast<uint32_t>(got);
    ring.written.store(written);
    if (ring.reader_wants.exchange(0) != 0) RingService(*pump.control);
  }
  ring.writer_closed.store(1);
  RingService(*pump.control);
}

void WaitForOutput(Pump& pump, uint32_t seen) {
  control::Ring& ring = *pump.ring;
  ring.reader_wants.store(1);
  if (ring.written.load() == seen && ring.writer_closed.load() == 0 && !pump.draining.load()) {
    platform::WaitOnWord(&ring.written, seen, platform::kNever);
  }
}

// What came is written at once. Beyond the limit, or without a client, the writers inside get
// EPIPE and SIGPIPE, and what is in the ring is dropped.
void PumpOut(Pump& pump) {
  control::Ring& ring = *pump.ring;
  // The keeper's own counter: the one in the ring could be changed from inside.
  uint32_t read_count = ring.read.load();
  bool closed = false;
  for (;;) {
    const bool last = pump.draining.load();
    const bool ended = ring.writer_closed.load() != 0;
    const uint32_t written = ring.written.load();
    const uint32_t fill = written - read_count;
    if (fill > kRingBytes) return Damage(pump);
    if (fill == 0) {
      if (ended || last) return;
      WaitForOutput(pump, written);
      continue;
    }
    const uint32_t start = read_count % kRingBytes;
    uint32_t part = std::min(fill, kRingBytes - start);
    if (!closed) {
      const uint64_t left = pump.limit_bytes - pump.bytes.load();
      const ssize_t done =
          left == 0 ? 0 : write(pump.fd, ring.data + start, std::min<uint64_t>(part, left));
      if (done < 0 && IsTemporary(pump.fd, POLLOUT)) continue;
      if (left == 0) pump.truncated.store(true);
      closed = done <= 0;
      if (closed) {
        ring.reader_closed.store(1);
      } else {
        pump.bytes.fetch_add(static_cast<uint64_t>(done));
        part = static_cast<uint32_t>(done);
      }
    }
    read_count += part;
    ring.read.store(read_count);
    if (ring.writer_wants.exchange(0) != 0 || closed) RingService(*pump.control);
  }
}

void Start(const std::shared_ptr<Pump>& pump, void (*run)(Pump&)) {
  const BlockedSignals blocked;
  std::thread([pump, run] {
    run(*pump);
    pump->ended.store(1);
    platform::WakeWord(&pump->ended, 1);
  }).detach();
}

StreamCounts CountsOf(const std::shared_ptr<Pump>& pump) {
  if (pump == nullptr) return {};
  return {pump->bytes.load(), pump->truncated.load()};
}

}  // namespace

JobStreams::JobStreams(const MemoryFiles& files, uint32_t job, const Descriptors& descriptors,
                       uint64_t output_limit_bytes) {
  const int fds[3] = {descriptors.input, descriptors.output, descriptors.error};
  for (uint32_t i = 0; i < 3; ++i) {
    if (fds[i] < 0) continue;
    pumps_[i] = std::make_shared<Pump>();
    Pump& pump = *pumps_[i];
    pump.mapping = files.control_mapping;
    pump.control = &files.page();
    pump.ring = &files.page().rings[job * control::kRingsPerJob + i];
    pump.fd = fds[i];
    if (i > 0) pump.limit_bytes = output_limit_bytes;
    Start(pumps_[i], i == 0 ? PumpIn : PumpOut);
  }
}

bool JobStreams::damaged() const {
  return std::ranges::any_of(
      pumps_, [](const auto& pump) { return pump != nullptr && pump->damaged.load(); });
}

void JobStreams::Finish(milliseconds patience) {
  for (const auto& pump : {pumps_[1], pumps_[2]}) {
    if (pump == nullptr) continue;
    pump->draining.store(true);
    uint64_t bytes = pump->bytes.load();
    auto last_progress = steady_clock::now();
    while (pump->ended.load() == 0 && !pump->damaged.load()) {
      // Draining is no word that a pump could sleep on: it may just be falling asleep.
      platform::WakeWord(&pump->ring->written, 1);
      platform::WaitOnWord(&pump->ended, 0, platform::ClockNs(CLOCK_MONOTONIC) + kNextTryNs);
      const auto now = steady_clock::now();
      if (std::exchange(bytes, pump->bytes.load()) != bytes) last_progress = now;
      // In the coarser unit: a patience without end has no nanoseconds.
      if (std::chrono::duration_cast<milliseconds>(now - last_progress) > patience) break;
    }
  }
}

StreamCounts JobStreams::input() const {
  return CountsOf(pumps_[0]);
}

StreamCounts JobStreams::output() const {
  return CountsOf(pumps_[1]);
}

StreamCounts JobStreams::error() const {
  return CountsOf(pumps_[2]);
}

}  // namespace cordon::backend
