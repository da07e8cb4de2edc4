#ifndef CORDON_LIVE_GUEST_CHANNELS_H_
#define CORDON_LIVE_GUEST_CHANNELS_H_

// Conversations that guests begin (kernel/request_channel.cc), the keeper's side. A request is the
// number of its words and the words, each ended by a zero; the answer are bytes, and then the end.
// Everything that comes from there is a guest's.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/control.h"
#include "live/stream.h"

namespace cordon::live {

inline constexpr size_t kMostRequestBytes = 64 * 1024;

// Where a request stands: more of it is to come, its words are `words`, or it is none.
struct RequestWords {
  enum class State { kIncomplete, kComplete, kBroken };
  State state = State::kIncomplete;
  std::string words;  // each ends with a zero
};
[[nodiscard]] RequestWords ReadRequest(std::string_view bytes);

class GuestChannels {
 public:
  explicit GuestChannels(control::Control& page) : page_(page) {}

  struct Request {
    uint32_t channel;
    uint32_t number;  // so that an answer does not reach the next guest
    uint32_t run;     // of the guest, as it says
    std::string words;
  };
  // A conversation that ended before its last answer.
  struct Gone {
    uint32_t channel;
    uint32_t number;
  };
  struct News {
    std::vector<Gone> gone;
    std::vector<Request> requests;
  };
  // Moves what there is to be moved. False: a ring is damaged.
  [[nodiscard]] bool Progress(News* news);
  // To a guest that may be gone.
  void Answer(int64_t channel, int64_t number, std::string bytes, bool is_last);
  // The page became another's: nobody answers what was asked there. What was asked before.
  [[nodiscard]] std::vector<Gone> Abandon();

 private:
  struct Conversation {
    uint32_t number;
    OutputStream requests;
    InputStream answers;
    std::string text;
    bool is_asked = false;
    bool is_answered = false;
  };
  // Whoever asked there is gone.
  void Drop(uint32_t channel, std::vector<Gone>* gone);
  [[nodiscard]] control::Ring& RingOf(uint32_t channel, uint32_t ring) const {
    return page_.rings[control::kFirstChannelRing + channel * control::kRingsPerChannel + ring];
  }
  [[nodiscard]] bool Listen(uint32_t channel, std::vector<Request>* requests);
  void HangUp(uint32_t channel) const;

  control::Control& page_;
  uint32_t last_number_ = 0;
  std::array<std::unique_ptr<Conversation>, control::kMaxChannels> conversations_;
  std::array<bool, control::kMaxChannels> is_over_ = {};
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_GUEST_CHANNELS_H_
