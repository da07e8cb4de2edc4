#include "rpc/pool.h"

#include <algorithm>
#include <utility>

namespace cordon::rpc {
namespace {

// Whoever has just got a sandbox has its first command run before another one takes a processor.
constexpr std::chrono::milliseconds kPause{10};

}  // namespace

void Pool::Keep(const live::LiveOptions& options) {
  if (size_ == 0 || !options.state_folder.empty()) return;
  if (kind_ != options) {
    for (const Warm& warm : std::exchange(warm_, {})) warm.link->Close();
    kind_ = options;
  }
  FillAfter(kPause);
}

std::shared_ptr<SandboxLink> Pool::Take(const live::LiveOptions& options,
                                        SandboxLink::Handler handler) {
  const auto found = kind_ == options ? std::ranges::find_if(warm_, &Warm::is_ready) : warm_.end();
  if (found == warm_.end()) return nullptr;
  std::shared_ptr<SandboxLink> link = std::move(found->link);
  *found->heir = std::move(handler);
  warm_.erase(found);
  return link;
}

void Pool::Close() {
  size_ = 0;
  timer_.cancel();
  for (const Warm& warm : std::exchange(warm_, {})) warm.link->Close();
}

void Pool::FillAfter(std::chrono::milliseconds time) {
  timer_.expires_after(time);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Fill();
  });
}

void Pool::Fill() {
  const bool is_busy = !std::ranges::all_of(warm_, &Warm::is_ready);
  if (warm_.size() >= size_ || is_busy) return;
  Warm warm;
  warm.heir = std::make_shared<SandboxLink::Handler>();
  auto link = SandboxLink::Start(loop_, *kind_, [this, heir = warm.heir](const live::Frame& frame) {
    if (*heir) return (*heir)(frame);
    Hear(heir.get(), frame);
    return frame.kind == live::Kind::kDead;
  });
  // Whoever asks for one makes one, and hears why it cannot be made.
  if (!link) return;
  warm.link = std::move(*link);
  warm_.push_back(std::move(warm));
}

void Pool::Hear(const SandboxLink::Handler* warm, const live::Frame& frame) {
  const auto found =
      std::ranges::find_if(warm_, [warm](const Warm& one) { return one.heir.get() == warm; });
  if (found == warm_.end()) return;
  if (frame.kind == live::Kind::kReady) {
    found->is_ready = true;
    FillAfter({});
  } else if (frame.kind == live::Kind::kDead) {
    warm_.erase(found);
  }
}

}  // namespace cordon::rpc
