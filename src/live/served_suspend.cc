// A sandbox that stands still: its processes are stopped from outside, and whoever asks it
// something waits. So do some while one has the session for itself.

#include <cerrno>
#include <utility>

#include "live/served_sandbox.h"

namespace cordon::live {

bool ServedSandbox::IsForNow(Frame& frame) {
  const bool is_fork = frame.kind == Kind::kFork;
  const bool waits_for_turn = turn_ && (is_fork || frame.kind == Kind::kRestore);
  const bool is_always_heard =
      frame.kind == Kind::kResume || frame.kind == Kind::kSuspend || frame.kind == Kind::kTellUse;
  if (!waits_for_turn && (!is_suspended() || is_always_heard)) return true;
  if (is_fork && !is_suspended()) {
    // Others' descriptors, which do not wait, come behind its own.
    Result<std::vector<OwnedFd>> sockets = TakeForkSockets(frame);
    if (!sockets) {
      Answer(frame.id, -EBADF, sockets.error().ToString());
      return false;
    }
    held_sockets_[frame.arg[1]] = std::move(*sockets);
  }
  held_.push_back(std::move(frame));
  return false;
}

void ServedSandbox::Suspend(uint32_t id) {
  if (is_suspended()) return Answer(id, 0, {});
  if (const Status stopped = keeper_->Stop(); !stopped) {
    return Answer(id, -EIO, stopped.error().ToString());
  }
  suspended_ = Clock::now();
  Answer(id, 0, {});
}

void ServedSandbox::Resume(uint32_t id) {
  if (!is_suspended()) return Answer(id, 0, {});
  if (const Status continued = keeper_->Continue(); !continued) {
    return Answer(id, -EIO, continued.error().ToString());
  }
  const auto lost = Clock::now() - *suspended_;
  suspended_.reset();
  for (const auto& run : running_) {
    for (Clock::time_point* time :
         {&run->started, &run->deadline, &run->next_interrupt, &run->patience}) {
      if (*time != Clock::time_point::max()) *time += lost;
    }
  }
  session_.next_look += lost;
  Answer(id, 0, {});
  HandleHeld();
}

void ServedSandbox::HandleHeld() {
  for (Frame& frame : std::exchange(held_, {})) Handle(std::move(frame));
}

void ServedSandbox::EndTurn(uint32_t id) {
  if (turn_ != id) return;
  turn_.reset();
  HandleHeld();
  StartRuns();
}

}  // namespace cordon::live
