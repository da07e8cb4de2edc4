// A sandbox that stands still: its processes are stopped from outside, and whoever asks it
// something waits.

#include <cerrno>
#include <utility>

#include "live/served_sandbox.h"

namespace cordon::live {

bool ServedSandbox::IsForNow(Frame& frame) {
  if (!is_suspended() || frame.kind == Kind::kResume || frame.kind == Kind::kSuspend ||
      frame.kind == Kind::kTellUse) {
    return true;
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
  for (Frame& frame : std::exchange(held_, {})) Handle(std::move(frame));
}

}  // namespace cordon::live
