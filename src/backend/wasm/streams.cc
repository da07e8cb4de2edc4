#include "backend/wasm/streams.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <ctime>

#include <algorithm>
#include <cerrno>

namespace cordon::backend {

using control::kRingBytes;

void WaitShared(const std::atomic<uint32_t>& word, uint32_t seen, int64_t timeout_ns) {
  const timespec timeout = {timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  syscall(SYS_futex, &word, FUTEX_WAIT, seen, timeout_ns < 0 ? nullptr : &timeout, nullptr, 0);
}

void WakeShared(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, 64, nullptr, nullptr, 0);
}

void RingService(control::Control& control) {
  control.service_bell.fetch_add(1);
  WakeShared(control.service_bell);
}

void PumpIn(int fd, control::Control& control, control::Ring& ring, PumpState& state) {
  for (;;) {
    const uint32_t written = ring.written.load();
    const uint32_t read_count = ring.read.load();
    const uint32_t fill = written - read_count;
    if (fill > kRingBytes) {
      state.damaged = true;
      break;
    }
    if (ring.reader_closed.load() != 0) break;
    if (fill == kRingBytes) {
      ring.writer_wants.store(1);
      if (ring.read.load() == read_count) WaitShared(ring.read, read_count, -1);
      continue;
    }
    const uint32_t start = written % kRingBytes;
    const uint32_t room = std::min(kRingBytes - fill, kRingBytes - start);
    const ssize_t got = read(fd, ring.data + start, room);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      pollfd wait = {fd, POLLIN, 0};
      (void)poll(&wait, 1, -1);
      continue;
    }
    if (got <= 0) break;
    state.bytes.fetch_add(static_cast<uint64_t>(got));
    ring.written.store(written + static_cast<uint32_t>(got));
    if (ring.reader_wants.exchange(0) != 0) RingService(control);
  }
  ring.writer_closed.store(1);
  RingService(control);
}

void PumpOut(int fd, control::Control& control, control::Ring& ring, uint64_t limit,
             PumpState& state) {
  bool closed = false;
  for (;;) {
    const uint32_t read_count = ring.read.load();
    const bool last = state.draining.load();
    const bool ended = ring.writer_closed.load() != 0;
    const uint32_t written = ring.written.load();
    const uint32_t fill = written - read_count;
    if (fill > kRingBytes) {
      state.damaged = true;
      return;
    }
    if (fill == 0) {
      if (ended || last) return;
      ring.reader_wants.store(1);
      if (ring.written.load() == written && ring.writer_closed.load() == 0 &&
          !state.draining.load()) {
        // Draining changes no word of the ring: a wake-up for it can come too early.
        WaitShared(ring.written, written, 50'000'000);
      }
      continue;
    }
    const uint32_t start = read_count % kRingBytes;
    const uint32_t part = std::min(fill, kRingBytes - start);
    const uint64_t left = limit - state.bytes.load();
    ssize_t done = part;
    if (!closed) {
      done = left == 0 ? 0 : write(fd, ring.data + start, std::min<uint64_t>(part, left));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0 && errno == EAGAIN) {
        pollfd wait = {fd, POLLOUT, 0};
        (void)poll(&wait, 1, -1);
        continue;
      }
      if (done <= 0) {
        // Over the limit, or the client is gone: the guest's next write gets EPIPE, what is in the
        // ring is dropped.
        state.truncated = left == 0;
        closed = true;
        ring.reader_closed.store(1);
        done = part;
      } else {
        state.bytes.fetch_add(static_cast<uint64_t>(done));
      }
    }
    ring.read.store(read_count + static_cast<uint32_t>(done));
    if (ring.writer_wants.exchange(0) != 0 || closed) RingService(control);
  }
}

}  // namespace cordon::backend
