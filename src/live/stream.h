#ifndef CORDON_LIVE_STREAM_H_
#define CORDON_LIVE_STREAM_H_

// The keeper's side of the rings of a run, without threads: the kernel rings the keeper's bell when
// a ring that was found empty or full is not any more. Counters in a ring may be written by a
// guest: the keeper keeps its own, and a fill that cannot be is damage.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "kernel/control.h"
#include "live/frame.h"

namespace cordon::live {

// Wakes guests that wait for a stream.
void RingService(control::Control& page);

class OutputStream {
 public:
  OutputStream(control::Control& page, control::Ring& ring, uint64_t limit_bytes)
      : page_(page), ring_(ring), limit_(limit_bytes) {}

  enum class State { kEmpty, kMore, kWaitsForCredit, kDamaged };
  // A piece of what may go to the client. To be called again as long as there is more.
  struct Taken {
    State state;
    std::string bytes;
  };
  [[nodiscard]] Taken Take();

  void AddCredit(int64_t bytes) { credit_ += bytes; }
  // Nobody wants what comes from now on.
  void Abandon() { limit_ = sent_; }
  // Nothing after what is in the ring now belongs to this run.
  void SetEnd() {
    if (!end_) end_ = ring_.written.load();
  }
  [[nodiscard]] bool reached_end() const {
    return end_ && static_cast<int32_t>(*end_ - read_) <= 0;
  }
  [[nodiscard]] bool truncated() const { return truncated_; }
  // That were written, with those that were dropped.
  [[nodiscard]] uint64_t bytes() const { return sent_ + dropped_; }

 private:
  control::Control& page_;
  control::Ring& ring_;
  uint32_t read_ = 0;
  uint64_t sent_ = 0, dropped_ = 0;
  uint64_t limit_;
  int64_t credit_ = kFirstCredit;
  std::optional<uint32_t> end_;
  bool truncated_ = false;
};

class InputStream {
 public:
  InputStream(control::Control& page, control::Ring& ring) : page_(page), ring_(ring) {}

  void Add(std::string bytes);
  void Close() { closing_ = true; }
  enum class State { kIdle, kWaits, kDamaged };
  // Moves what there is room for. `taken`: bytes that went on; `broken`: nobody reads any more.
  struct Moved {
    State state = State::kIdle;
    int64_t taken = 0;
    bool broken = false;
  };
  [[nodiscard]] Moved Move();

 private:
  control::Control& page_;
  control::Ring& ring_;
  std::deque<std::string> waiting_;
  size_t front_done_ = 0;
  uint32_t written_ = 0;
  bool closing_ = false;
  bool closed_ = false;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_STREAM_H_
