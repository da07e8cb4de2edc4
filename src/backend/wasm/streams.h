#ifndef CORDON_BACKEND_WASM_STREAMS_H_
#define CORDON_BACKEND_WASM_STREAMS_H_

// Between the client's descriptors and the rings of the control page: binary exact, with
// back-pressure both ways. Each pump is a thread, because a descriptor of the client may block for
// ever and belongs to other processes too, so that it must not be made non-blocking.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "backend/wasm/memory_files.h"
#include "kernel/control.h"

namespace cordon::backend {

struct StreamCounts {
  uint64_t bytes = 0;
  bool truncated = false;  // output was dropped because of the limit
};

// The three streams of one job.
class JobStreams {
 public:
  struct Descriptors {
    int input = 0;
    int output = 1;
    int error = 2;  // -1: none, the terminal has one stream
  };

  JobStreams(const MemoryFiles& files, uint32_t job, const Descriptors& descriptors,
             uint64_t output_limit_bytes);
  JobStreams(const JobStreams&) = delete;
  JobStreams& operator=(const JobStreams&) = delete;
  // A pump that sleeps in a call on a client's descriptor is left to itself.
  ~JobStreams() = default;

  // A counter in a ring has an impossible value: somebody inside wrote it.
  [[nodiscard]] bool damaged() const;

  // No more output will come: returns when all was written. `patience` is how long a client that
  // takes nothing is waited for.
  void Finish(std::chrono::milliseconds patience);

  [[nodiscard]] StreamCounts input() const;
  [[nodiscard]] StreamCounts output() const;
  [[nodiscard]] StreamCounts error() const;

  struct Pump;  // shared with its thread, which may outlive this object

 private:
  std::shared_ptr<Pump> pumps_[3];
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_STREAMS_H_
