#ifndef CORDON_BACKEND_NATIVE_WATCH_H_
#define CORDON_BACKEND_NATIVE_WATCH_H_

// What whoever waits for a command does, whatever wall is around it: its streams and signals on
// their way, the limits that nobody else holds, the report of its end.

#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <csignal>
#include <optional>
#include <vector>

#include "backend/backend.h"
#include "backend/native/control_groups.h"
#include "backend/native/output.h"
#include "backend/native/usage.h"
#include "base/error.h"
#include "base/owned_fd.h"
#include "net/gateway.h"
#include "policy/plan.h"

namespace cordon::backend::native {

class CommandWatch {
 public:
  // Time counts from here on. The limits must live as long.
  CommandWatch(const policy::LimitPlan& limits, ControlGroups groups);
  CommandWatch(const CommandWatch&) = delete;
  CommandWatch& operator=(const CommandWatch&) = delete;
  // Gives the caller its signals back.
  ~CommandWatch();

  [[nodiscard]] const ControlGroups& groups() const { return groups_; }

  // --- before the command ---
  // The report is to say how much memory was used, as the control group counted it.
  void MeasureMemory() { measures_memory_ = true; }
  // An error names a limit that nobody holds. The kernel counts an ordinary user's processes, where
  // that user is the command's alone.
  enum class Processes { kCounted, kNotCounted };
  [[nodiscard]] Status CheckLimits(Processes processes);
  // Descriptors 0 to 2 are open afterwards; an error if one is a directory of the host.
  [[nodiscard]] static Status CheckStreams();
  // Whether the command must not have this stream of the caller's itself, but a pipe to it.
  [[nodiscard]] bool MustCarry(int fd) const;
  // What the command writes to 1 or 2 comes by here.
  [[nodiscard]] Status CountOutput(int fd);
  // And what comes from the keeper's end of its terminal, for descriptor 1.
  void CountTerminal(OwnedFd main);
  // The command's end of a counted stream, otherwise -1.
  [[nodiscard]] int writer(int fd) const { return writers_[static_cast<size_t>(fd)]; }
  void CloseWriters();
  // Signals for the command wait from here on, in processes that are made now too.
  [[nodiscard]] Status TakeSignals();

  // --- while it runs ---
  // Asks about the first process and its descendants, until they have ended.
  void AnswerFor(net::Gateway* gateway, pid_t first) { gateway_ = gateway, first_ = first; }
  // For poll: signals first, then streams and the gateway; and its time in milliseconds.
  static constexpr size_t kPolled = 4;
  [[nodiscard]] std::array<pollfd, kPolled> Wanted() const;
  [[nodiscard]] int PollTime() const;
  void MoveOutput(const pollfd* polled);
  // One that came for the command, if there is one more.
  [[nodiscard]] std::optional<signalfd_siginfo> NextSignal() const;
  // Whether a limit has been passed since it was last asked: then the caller ends everything. What
  // is measured are this process and its descendants, and segments that somebody inside counted.
  [[nodiscard]] bool PassesLimit(pid_t first, uint64_t segments_bytes = 0);
  [[nodiscard]] bool is_ended() const { return ended_for_.has_value(); }

  // --- afterwards ---
  // Nobody is left who writes: what is in the pipes is all there is. A slow reader gets everything;
  // after a passed limit it does not hold the result.
  void Drain();
  // `status` and `usage` are those of wait4(2).
  [[nodiscard]] PlanReport Finish(int status, const rusage& usage) const;
  // What it took, and whether its output was longer than may be; once all has ended.
  void FillUsage(const rusage& usage, PlanReport* report) const;
  // Without its gateway the command had no network from some moment on, and nobody knows what it
  // reached: that is no success.
  void FinishNetwork(net::Gateway& gateway, PlanReport* report) const;

 private:
  using Clock = std::chrono::steady_clock;
  void Pass(PlanReport::End limit);

  const policy::LimitPlan& limits_;
  ControlGroups groups_;
  std::vector<OutputPipe> outputs_;  // at most two
  std::array<int, 3> writers_ = {-1, -1, -1};
  OwnedFd signals_;
  std::optional<sigset_t> mask_before_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point next_sample_;
  bool samples_ = false;
  bool measures_memory_ = false;
  UsageMeter meter_;
  uint64_t sampled_peak_bytes_ = 0;
  std::chrono::milliseconds cpu_time_{0};  // when it was looked at last
  std::optional<PlanReport::End> ended_for_;
  net::Gateway* gateway_ = nullptr;
  pid_t first_ = -1;
};

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_WATCH_H_
