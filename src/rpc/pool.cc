#include "rpc/pool.h"

#include <algorithm>
#include <utility>

namespace cordon::rpc {
namespace {

// Whoever has just got a sandbox has its first command run before another one takes a processor.
constexpr std::chrono::milliseconds kPause{10};
// What a shell does first costs it more than what follows: the pages of its processes, its streams
// and the way to them are touched for the first time. So it does something that nobody will see:
// no variable, no number of a job, no line of the history tells of it.
constexpr const char* kFirstCommand = "builtin echo; (:)";
constexpr int64_t kFirstCommandMs = 5000;
constexpr int64_t kFirstOutput = 4096;

}  // namespace

void Pool::SetKind(const live::LiveOptions& options) {
  if (kind_ == options) return;
  for (const Warm& warm : std::exchange(warm_, {})) warm.link->Close();
  kind_ = options;
}

void Pool::Keep(const live::LiveOptions& options) {
  if (size_ == 0 || !options.state_folder.empty()) return;
  if (choice_) {
    // Each waits its time, whatever is taken meanwhile.
    if (kind_ == options && !is_armed_) FillAfter(choice_->pause);
    return;
  }
  SetKind(options);
  FillAfter(kPause);
}

void Pool::Choose(const live::LiveOptions& options, Choice choice,
                  std::function<void(const std::string&)> then) {
  Tell("another kind was chosen");
  SetKind(options);
  size_ = choice.size;
  choice_ = std::move(choice);
  then_ = std::move(then);
  while (warm_.size() > size_) {
    warm_.back().link->Close();
    warm_.pop_back();
  }
  Fill();
}

void Pool::MakeRoom() {
  if (choice_ && !is_armed_) FillAfter(choice_->pause);
}

void Pool::Tell(const std::string& error) {
  if (const auto then = std::exchange(then_, nullptr)) then(error);
}

bool Pool::IsFull() const {
  return warm_.size() >= size_ || (choice_ && warm_.size() + choice_->in_use() >= choice_->most);
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
  choice_.reset();
  then_ = nullptr;
  timer_.cancel();
  for (const Warm& warm : std::exchange(warm_, {})) warm.link->Close();
}

void Pool::FillAfter(std::chrono::milliseconds time) {
  is_armed_ = true;
  timer_.expires_after(time);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    is_armed_ = false;
    Fill();
  });
}

void Pool::Fill() {
  const bool is_busy = !std::ranges::all_of(warm_, &Warm::is_ready);
  if (is_busy) return;
  if (IsFull()) return Tell({});
  if (const auto refusal = quota_.Refusal()) return Tell(*refusal);
  Warm warm;
  warm.heir = std::make_shared<SandboxLink::Handler>();
  auto link = SandboxLink::Start(loop_, *kind_, [this, heir = warm.heir](const live::Frame& frame) {
    if (*heir) return (*heir)(frame);
    Hear(heir.get(), frame);
    return frame.kind == live::Kind::kDead;
  });
  // Whoever asks for one makes one, and hears why it cannot be made.
  if (!link) return Tell(link.error().ToString());
  warm.link = std::move(*link);
  quota_.Count(warm.link);
  warm_.push_back(std::move(warm));
}

void Pool::Hear(const SandboxLink::Handler* warm, const live::Frame& frame) {
  const auto found =
      std::ranges::find_if(warm_, [warm](const Warm& one) { return one.heir.get() == warm; });
  if (found == warm_.end()) return;
  if (frame.kind == live::Kind::kReady) {
    (void)found->link->Ask({live::Kind::kRun,
                            0,
                            {kFirstCommandMs, kFirstOutput, kFirstOutput, live::kUnrecorded},
                            kFirstCommand},
                           [this, warm](const live::Frame& said) {
                             if (said.kind == live::Kind::kEnd) HasRun(warm);
                             return said.kind == live::Kind::kEnd || said.kind == live::Kind::kDead;
                           });
  } else if (frame.kind == live::Kind::kDead) {
    if (!found->is_ready) Tell(frame.payload);
    warm_.erase(found);
  }
}

void Pool::HasRun(const SandboxLink::Handler* warm) {
  const auto found =
      std::ranges::find_if(warm_, [warm](const Warm& one) { return one.heir.get() == warm; });
  if (found == warm_.end()) return;
  found->is_ready = true;
  FillAfter({});
}

}  // namespace cordon::rpc
