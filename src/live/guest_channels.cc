#include "live/guest_channels.h"

#include <utility>

namespace cordon::live {
namespace {

using control::Channel;

constexpr uint32_t kAnswers = 0;
constexpr uint32_t kRequests = 1;

}  // namespace

bool GuestChannels::Listen(uint32_t channel, std::vector<Request>* requests) {
  Conversation& talk = *conversations_[channel];
  while (!talk.is_asked) {
    const OutputStream::Taken taken = talk.requests.Take();
    if (taken.state == OutputStream::State::kDamaged) return false;
    if (taken.state != OutputStream::State::kMore) break;
    talk.text += taken.bytes;
    RequestWords request = ReadRequest(talk.text);
    if (request.state == RequestWords::State::kBroken) {
      is_over_[channel] = true;
      HangUp(channel);
      return true;
    }
    if (request.state == RequestWords::State::kComplete) {
      talk.is_asked = true;
      talk.text.clear();
      requests->push_back(
          {channel, talk.number, page_.channels[channel].run.load(), std::move(request.words)});
    }
  }
  return talk.answers.Move().state != InputStream::State::kDamaged;
}

void GuestChannels::Drop(uint32_t channel, std::vector<Gone>* gone) {
  const auto talk = std::exchange(conversations_[channel], nullptr);
  if (talk && talk->is_asked && !talk->is_answered) gone->push_back({channel, talk->number});
}

bool GuestChannels::Progress(News* news) {
  for (uint32_t i = 0; i < control::kMaxChannels; ++i) {
    const uint32_t state = page_.channels[i].state.load();
    if (state == Channel::kClosed) {
      Drop(i, &news->gone);
      is_over_[i] = false;
      // From now on another guest may have it.
      page_.channels[i].state.store(Channel::kFree);
      continue;
    }
    if (state != Channel::kOpen || is_over_[i]) continue;
    if (!conversations_[i]) {
      conversations_[i] = std::make_unique<Conversation>(
          Conversation{++last_number_,
                       OutputStream(page_, RingOf(i, kRequests), kMostRequestBytes * 2),
                       InputStream(page_, RingOf(i, kAnswers)),
                       {}});
    }
    if (!Listen(i, &news->requests)) return false;
  }
  return true;
}

void GuestChannels::Answer(int64_t channel, int64_t number, std::string bytes, bool is_last) {
  if (channel < 0 || channel >= control::kMaxChannels) return;
  const auto& talk = conversations_[static_cast<size_t>(channel)];
  if (!talk || talk->number != number) return;
  talk->answers.Add(std::move(bytes));
  if (is_last) talk->answers.Close();
  talk->is_answered |= is_last;
  // A ring that is damaged is seen again where there is somebody to be told.
  (void)talk->answers.Move();
}

void GuestChannels::HangUp(uint32_t channel) const {
  RingOf(channel, kRequests).reader_closed.store(1);
  RingOf(channel, kAnswers).writer_closed.store(1);
  RingService(page_);
}

std::vector<GuestChannels::Gone> GuestChannels::Abandon() {
  std::vector<Gone> gone;
  for (uint32_t i = 0; i < control::kMaxChannels; ++i) {
    Drop(i, &gone);
    is_over_[i] = page_.channels[i].state.load() == Channel::kOpen;
    if (is_over_[i]) HangUp(i);
  }
  return gone;
}

}  // namespace cordon::live
