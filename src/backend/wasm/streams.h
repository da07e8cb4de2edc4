#ifndef CORDON_BACKEND_WASM_STREAMS_H_
#define CORDON_BACKEND_WASM_STREAMS_H_

// Between the client's descriptors and the rings of the control page. Each pump runs in a thread of
// its own.

#include <atomic>
#include <cstdint>

#include "kernel/control.h"

namespace cordon::backend {

// futex(2) on words that are shared between processes.
void WaitShared(const std::atomic<uint32_t>& word, uint32_t seen, int64_t timeout_ns);  // -1: none
void WakeShared(std::atomic<uint32_t>& word);
void RingService(control::Control& control);

struct PumpState {
  std::atomic<uint64_t> bytes{0};
  std::atomic<bool> truncated{false};
  std::atomic<bool> damaged{
      false};  // the ring's counters are impossible: the sandbox is to be ended
  std::atomic<bool> draining{false};  // no more will come: end when the ring is empty
};

// From a descriptor to a ring, until end of file.
void PumpIn(int fd, control::Control& control, control::Ring& ring, PumpState& state);
// From a ring to a descriptor, at most `limit` bytes; what is beyond is dropped and the writer is
// told.
void PumpOut(int fd, control::Control& control, control::Ring& ring, uint64_t limit,
             PumpState& state);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_STREAMS_H_
