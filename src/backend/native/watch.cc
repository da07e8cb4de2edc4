#include "backend/native/watch.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "backend/native/init.h"
#include "backend/native/usage.h"
#include "base/units.h"

namespace cordon::backend::native {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSampleTime{50};
constexpr int kSampleShare = 9;
// For a reader that does not read, after the end.
constexpr milliseconds kDrainTime{200};

// Of the host's network, in whichever namespace it is used: it can be connected anew, or sends to
// whom it likes. A stream of AF_UNIX has its other end and no other.
bool ReachesNetwork(int fd) {
  int domain = 0;
  int type = 0;
  socklen_t size = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return false;
  size = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return false;
  return domain != AF_UNIX || type == SOCK_DGRAM;
}

}  // namespace

CommandWatch::CommandWatch(const policy::LimitPlan& limits, ControlGroups groups)
    : limits_(limits), groups_(std::move(groups)), next_sample_(begin_ + kSampleTime) {}

CommandWatch::~CommandWatch() {
  if (mask_before_) (void)sigprocmask(SIG_SETMASK, &*mask_before_, nullptr);
}

Status CommandWatch::CheckLimits(Processes processes) {
  if (limits_.cpus && !groups_.holds_processors()) {
    return Fail(ErrorCode::kUnsupported,
                "a share of the processors needs a control group, and none can be made here");
  }
  if (limits_.processes && !groups_.holds_processes() && processes == Processes::kNotCounted) {
    return Fail(ErrorCode::kUnsupported,
                "a limit of processes needs a control group here, and none can be made (as root in "
                "a container: run it as an ordinary user, or give it control groups to write)");
  }
  samples_ = limits_.cpu_time || (limits_.memory_bytes && !groups_.holds_memory());
  return {};
}

Status CommandWatch::CheckStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    struct stat stat = {};
    if (fstat(fd, &stat) != 0) {
      // A file that was opened later would be taken for the stream.
      if (open("/dev/null", O_RDWR) != fd) return SystemError("open(/dev/null)");
    } else if (S_ISDIR(stat.st_mode)) {
      return Fail(ErrorCode::kInvalid,
                  "descriptor " + std::to_string(fd) + " is a directory of the host");
    }
  }
  if (!ReachesNetwork(STDIN_FILENO)) return {};
  return Fail(ErrorCode::kInvalid,
              "standard input is a socket of the host's network; put a pipe before it (cat |)");
}

bool CommandWatch::MustCarry(int fd) const {
  return limits_.output_bytes.has_value() || ReachesNetwork(fd);
}

Status CommandWatch::CountOutput(int fd) {
  Result<OutputPipe> pipe = OutputPipe::Make(fd, limits_.output_bytes.value_or(UINT64_MAX));
  if (!pipe) return std::unexpected(pipe.error());
  writers_[static_cast<size_t>(fd)] = pipe->writer();
  outputs_.push_back(std::move(*pipe));
  return {};
}

void CommandWatch::CountTerminal(OwnedFd main) {
  outputs_.push_back(OutputPipe::FromTerminal(std::move(main), STDOUT_FILENO,
                                              limits_.output_bytes.value_or(UINT64_MAX)));
}

void CommandWatch::CloseWriters() {
  for (OutputPipe& output : outputs_) output.CloseWriter();
}

Status CommandWatch::TakeSignals() {
  sigset_t signals = ForwardedSignals();
  // A reader that goes away is an error of splice(2).
  sigaddset(&signals, SIGPIPE);
  sigset_t before;
  if (sigprocmask(SIG_BLOCK, &signals, &before) != 0) return SystemError("sigprocmask");
  mask_before_ = before;
  signals_.reset(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return SystemError("signalfd");
  return {};
}

std::array<pollfd, CommandWatch::kPolled> CommandWatch::Wanted() const {
  std::array<pollfd, kPolled> wanted = {{{signals_.get(), POLLIN, 0},
                                         {-1, 0, 0},
                                         {-1, 0, 0},
                                         {gateway_ ? gateway_->questions() : -1, POLLIN, 0}}};
  for (size_t i = 0; i < outputs_.size(); ++i) wanted[i + 1] = outputs_[i].Wanted();
  return wanted;
}

int CommandWatch::PollTime() const {
  Clock::time_point until = Clock::time_point::max();
  if (limits_.wall_time) until = begin_ + *limits_.wall_time;
  if (samples_) until = std::min(until, next_sample_);
  if (until == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
  return static_cast<int>(std::max(milliseconds(0), left).count());
}

void CommandWatch::MoveOutput(const pollfd* polled) {
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (polled[i + 1].revents != 0) outputs_[i].Move();
  }
  if (polled[kPolled - 1].revents != 0) gateway_->Answer(first_);
}

std::optional<signalfd_siginfo> CommandWatch::NextSignal() const {
  signalfd_siginfo info = {};
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGPIPE) return info;
  }
  return std::nullopt;
}

void CommandWatch::Pass(PlanReport::End limit) {
  if (!ended_for_) ended_for_ = limit;
}

bool CommandWatch::PassesLimit(pid_t first, uint64_t segments_bytes) {
  if (ended_for_) return false;
  const Clock::time_point now = Clock::now();
  if (limits_.wall_time && now >= begin_ + *limits_.wall_time) Pass(PlanReport::End::kWallTime);
  if (samples_ && now >= next_sample_) {
    next_sample_ = now + kSampleTime;
    const bool counts_memory = limits_.memory_bytes && !groups_.holds_memory();
    const auto memory = counts_memory ? UsageMeter::Memory::kCount : UsageMeter::Memory::kLeave;
    const Usage usage = meter_.Measure(first, memory, segments_bytes);
    cpu_time_ = std::max(groups_.ProcessorTime().value_or(milliseconds(0)), usage.cpu_time);
    if (limits_.cpu_time && cpu_time_ >= *limits_.cpu_time) Pass(PlanReport::End::kCpuTime);
    sampled_peak_bytes_ = std::max(sampled_peak_bytes_, usage.memory_bytes);
    if (counts_memory && usage.memory_bytes > *limits_.memory_bytes) Pass(PlanReport::End::kMemory);
    // Many processes and descriptors take their time: most of it is left to streams and signals.
    next_sample_ = std::max(next_sample_, Clock::now() + kSampleShare * (Clock::now() - now));
  }
  return ended_for_.has_value();
}

void CommandWatch::Drain() {
  gateway_ = nullptr;
  const Clock::time_point until = Clock::now() + kDrainTime;
  while (std::ranges::any_of(outputs_, &OutputPipe::is_open)) {
    std::array<pollfd, kPolled> polled = Wanted();
    polled[0].fd = -1;
    int time = -1;
    if (ended_for_) {
      time = static_cast<int>(std::chrono::ceil<milliseconds>(until - Clock::now()).count());
      if (time <= 0) return;
    }
    if (poll(polled.data(), polled.size(), time) < 0 && errno != EINTR) return;
    MoveOutput(polled.data());
  }
}

// Processor time is that of whoever was waited for, the last processes of a namespace too.
void CommandWatch::FillUsage(const rusage& usage, PlanReport* report) const {
  using std::chrono::microseconds;
  const auto time = [](const timeval& part) {
    return std::chrono::seconds(part.tv_sec) + microseconds(part.tv_usec);
  };
  report->wall_time = std::chrono::duration_cast<microseconds>(Clock::now() - begin_);
  // The sandbox need not have waited for all of its own.
  report->cpu_time = std::max<microseconds>(time(usage.ru_utime) + time(usage.ru_stime),
                                            groups_.ProcessorTime().value_or(cpu_time_));
  if (measures_memory_) report->memory_peak_bytes = groups_.PeakMemory();
  if (!report->memory_peak_bytes) {
    const auto largest = static_cast<uint64_t>(usage.ru_maxrss) << 10;
    report->memory_peak_bytes = sampled_peak_bytes_ > 0 ? sampled_peak_bytes_ : largest;
  }
  report->output_dropped = std::ranges::any_of(outputs_, &OutputPipe::is_over);
  for (const OutputPipe& output : outputs_) {
    (output.to() == STDOUT_FILENO ? report->output_bytes : report->error_bytes) = output.moved();
  }
}

PlanReport CommandWatch::Finish(int status, const rusage& usage) const {
  PlanReport report;
  FillUsage(usage, &report);
  report.limits_by = groups_.name();
  report.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  report.end = report.exit_code > 128 ? PlanReport::End::kSignal : PlanReport::End::kExited;
  report.memory_was_short = groups_.RanOutOfMemory();
  report.processes_were_short = groups_.RanOutOfProcesses();
  // Others than the command may have been ended for it.
  if (!ended_for_ && report.memory_was_short && report.exit_code == kKilled) {
    report.end = PlanReport::End::kMemory;
  }
  if (ended_for_) {
    report.end = *ended_for_;
    report.exit_code = *ended_for_ == PlanReport::End::kWallTime ? kTimedOut : kKilled;
  }
  const bool is_killed = ended_for_ || report.end == PlanReport::End::kMemory;
  if (is_killed) report.signal = SIGKILL;
  if (report.end == PlanReport::End::kSignal) report.signal = report.exit_code - 128;
  if (report.end == PlanReport::End::kWallTime) {
    report.reason = "limit wall time " + FormatDuration(*limits_.wall_time);
  } else if (report.end == PlanReport::End::kCpuTime) {
    report.reason = "limit CPU time " + FormatDuration(*limits_.cpu_time);
  } else if (report.end == PlanReport::End::kMemory) {
    report.reason = "limit memory " + FormatSize(*limits_.memory_bytes);
  }
  return report;
}

void CommandWatch::FinishNetwork(net::Gateway& gateway, PlanReport* report) const {
  Result<net::Summary> summary = gateway.Finish();
  if (summary) {
    report->network = std::move(*summary);
    return;
  }
  if (!report->reason.empty()) report->reason += "; ";
  report->reason += summary.error().ToString();
  if (ended_for_) return;
  report->end = PlanReport::End::kNetwork;
  report->exit_code = kOwnFailure;
}

}  // namespace cordon::backend::native
