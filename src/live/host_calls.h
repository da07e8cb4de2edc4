#ifndef CORDON_LIVE_HOST_CALLS_H_
#define CORDON_LIVE_HOST_CALLS_H_

// Commands of the sandbox that a client serves: the keeper's ends of their channels. Standard input
// comes as it is asked for, output goes as the command takes it; what a guest says wrong ends that
// one command. Its last word is kHostGone, the client's is kHostExit, in either order; the channel
// is free when both were said, so that no guest calls faster than somebody listens.

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "backend/wasm/mailbox.h"
#include "kernel/control.h"
#include "live/file_calls.h"
#include "live/frame.h"
#include "live/host_frame.h"
#include "live/stream.h"

namespace cordon::live {

// The status of a command that could not be served.
inline constexpr uint32_t kHostCallFailed = 125;

class HostCalls {
 public:
  using Send = std::function<void(const Frame&)>;
  HostCalls(control::Control& page, Send send);

  // kHostWant, kHostOutput, kHostExit.
  void Handle(const Frame& frame);
  // Moves what can be moved. False: the control page is damaged.
  [[nodiscard]] bool Progress();
  // There is more to do at once.
  [[nodiscard]] bool is_busy() const { return is_busy_; }
  // Other processes are in the sandbox now, as copies of some that had channels: those end.
  void Restart();

 private:
  struct Write {
    uint64_t end;  // of its bytes, among all that were given to the command
    int64_t stream;
  };
  struct Going {
    Going(control::Control& page, control::Ring* rings)
        : from(page, rings[0], UINT64_MAX), to(page, rings[1]) {}
    uint32_t number = 0;
    OutputStream from;
    InputStream to;
    HostFrameReader reader;
    bool is_told = false;    // to the client
    bool has_ended = false;  // nothing more is said to the command
    bool is_gone = false;    // and it has closed its channel
    bool is_done = false;    // the client has said its last word
    uint64_t given = 0;
    uint64_t moved = 0;
    std::deque<Write> writes;
  };

  [[nodiscard]] control::Ring* RingsOf(uint32_t slot) const;
  // kMaxHostCalls: there is none.
  [[nodiscard]] uint32_t Find(int64_t number) const;
  void Give(Going& going, std::string bytes);
  void Say(Going& going, const std::string& message);
  void Exit(Going& going, uint32_t status);
  // Without a word: whatever runs there is not ours.
  void CutOff(Going& going);
  void Close(uint32_t slot);
  void FreeIfOver(uint32_t slot);
  [[nodiscard]] bool Move(uint32_t slot);
  [[nodiscard]] bool Hear(Going& going);
  void Take(Going& going, HostFrame frame);

  control::Control& page_;
  Send send_;
  uint32_t last_number_ = 0;
  bool is_busy_ = false;
  std::array<std::unique_ptr<Going>, control::kMaxHostCalls> going_;
};

// kAddCommand: puts a command into the PATH whose calls are served. 1: it is there. -EEXIST: the
// name is that of a program.
[[nodiscard]] FileAnswer AddCommand(backend::Mailbox& mailbox, const Frame& frame);

}  // namespace cordon::live

#endif  // CORDON_LIVE_HOST_CALLS_H_
