#include "backend/wasm/run.h"

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <thread>

#include "backend/wasm/client_signals.h"
#include "backend/wasm/copy.h"
#include "backend/wasm/keeper.h"
#include "backend/wasm/mailbox.h"
#include "backend/wasm/streams.h"
#include "backend/wasm/usage_sampler.h"

namespace cordon::backend {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr uint32_t kJob = 0;
// How long a command may go on after the client asked for its end.
constexpr seconds kGrace{5};
// When what the command was not ready for is tried again.
constexpr milliseconds kRetry{10};
// How long a client that takes no output is waited for once the command was ended by force.
constexpr seconds kPatience{1};

// The life of one command, as an ordered list of steps.
class CommandRun {
 public:
  explicit CommandRun(const RunRequest& request) : request_(request) {}

  Result<RunReport> Run() {
    const auto start = steady_clock::now();
    CORDON_TRY(StartSandbox());
    const ClientSignals signals(keeper_->page());
    Mailbox mailbox(*keeper_);
    for (const Module& module : request_.modules) CORDON_TRY(PlaceModule(mailbox, module));
    CORDON_TRY(CopyIn(mailbox, request_.copy_in));
    StartStreams();
    CORDON_TRY(Spawn(mailbox));
    Await(mailbox, signals, start);
    CollectUsage(mailbox);
    if (request_.check_kernel && EndedInOrder()) CheckKernel(mailbox);
    const bool copies = !request_.copy_out.empty() && EndedInOrder() && mailbox.KillAll();
    if (!copies) keeper_->Kill();
    FinishOutput();
    Status copied;
    if (copies && EndedInOrder()) copied = CopyFilesOut(mailbox);
    keeper_->Kill();
    report_.cpu_time =
        duration_cast<microseconds>(UsageSampler::TotalProcessorTime() - cpu_before_);
    report_.wall_time = duration_cast<microseconds>(steady_clock::now() - start);
    if (!copied) return std::unexpected(copied.error());
    return report_;
  }

 private:
  Status StartSandbox() {
    SandboxOptions options;
    const SandboxLimits& limits = request_.limits;
    options.sizes = {limits.memory_bytes, limits.max_processes, limits.max_files,
                     limits.file_bytes};
    options.template_path = request_.template_path;
    options.userland_path = request_.userland_path;
    options.namespaces = request_.namespaces;
    Result<std::vector<std::byte>> window;
    if (!request_.modules.empty()) window = BuildCodeWindow(request_.modules);
    if (!window) return std::unexpected(window.error());
    options.code.bytes = *window;
    cpu_before_ = UsageSampler::TotalProcessorTime();
    Result<std::unique_ptr<Keeper>> keeper = Keeper::Start(options);
    if (!keeper) return std::unexpected(keeper.error());
    keeper_ = std::move(*keeper);
    report_.isolation = keeper_->isolation();
    return {};
  }

  static Status PlaceModule(Mailbox& mailbox, const Module& module) {
    constexpr uint32_t kExecutable = 0755;
    const auto bytes =
        std::span(reinterpret_cast<const char*>(module.bytes.data()), module.bytes.size());
    for (size_t done = 0; done < bytes.size();) {
      const size_t count = std::min<size_t>(bytes.size() - done, Mailbox::kMaxTransfer);
      CORDON_TRY(
          mailbox.WriteFile(module.guest_path, kExecutable, done, bytes.subspan(done, count)));
      done += count;
    }
    return {};
  }

  Status CopyFilesOut(Mailbox& mailbox) {
    Result<std::vector<std::string>> skipped = CopyOut(mailbox, request_.copy_out);
    if (!skipped) return std::unexpected(skipped.error());
    report_.not_copied = std::move(*skipped);
    return {};
  }

  void StartStreams() {
    JobStreams::Descriptors descriptors;
    if (request_.has_terminal) descriptors.error = -1;
    streams_ = std::make_unique<JobStreams>(keeper_->files(), kJob, descriptors,
                                            request_.limits.output_bytes);
  }

  Status Spawn(Mailbox& mailbox) {
    JobStart start;
    start.job = kJob;
    start.directory = request_.directory;
    start.arguments = request_.arguments;
    start.environment = request_.environment;
    start.has_terminal = request_.has_terminal;
    winsize window = {};
    if (start.has_terminal && ioctl(STDIN_FILENO, TIOCGWINSZ, &window) == 0) {
      start.rows = window.ws_row;
      start.columns = window.ws_col;
    }
    return mailbox.Spawn(start);
  }

  // Until the command ended or was ended.
  void Await(Mailbox& mailbox, const ClientSignals& signals, steady_clock::time_point start) {
    UsageSampler sampler(*keeper_, {request_.limits.cpu_time, request_.limits.memory_bytes},
                         cpu_before_);
    const auto wall_deadline = request_.limits.wall_time ? start + *request_.limits.wall_time
                                                         : steady_clock::time_point::max();
    const control::Job& job = keeper_->page().jobs[kJob];
    for (;;) {
      const uint32_t bell = keeper_->Bell();
      if (job.state.load() == control::Job::kExited) return TakeStatus(job.wait_status.load());
      if (const Status alive = keeper_->Reap(); !alive) return Break(alive.error());
      if (streams_->damaged()) return BreakDamaged();
      const auto now = steady_clock::now();
      if (now >= wall_deadline) {
        return EndBy(RunReport::End::kWallTime, kTimedOut, control::kLimitWallTime);
      }
      if (now >= grace_over_) return EndBy(RunReport::End::kInterrupted, 128 + asked_by_, 0);
      switch (sampler.Sample(now)) {
        case UsageSampler::Verdict::kWithin:
          break;
        case UsageSampler::Verdict::kCpuTime:
          return EndBy(RunReport::End::kCpuTime, kKilled, control::kLimitCpuTime);
        case UsageSampler::Verdict::kMemory:
          return EndBy(RunReport::End::kMemory, kKilled, control::kLimitMemory);
      }
      if (const Status sent = ForwardSignals(mailbox, signals); !sent) return Break(sent.error());
      const auto again = window_changed_ ? now + kRetry : steady_clock::time_point::max();
      keeper_->WaitForBell(bell, std::min({wall_deadline, grace_over_, sampler.next(), again}));
    }
  }

  Status ForwardSignals(Mailbox& mailbox, const ClientSignals& signals) {
    for (const int number : signals.Take()) {
      if (number == SIGWINCH) {
        window_changed_ = request_.has_terminal;
        continue;
      }
      CORDON_TRY(mailbox.Signal(kJob, number));
      if (number == SIGINT) continue;
      // Asked to end: the command may clean up, but not for ever, and not when asked twice.
      grace_over_ = asked_by_ == 0 ? steady_clock::now() + kGrace : steady_clock::now();
      asked_by_ = number;
    }
    return window_changed_ ? ForwardWindow(mailbox) : Status();
  }

  // A command that has not opened its terminal yet, or has ended, has none: it is tried again.
  Status ForwardWindow(Mailbox& mailbox) {
    winsize window = {};
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &window) != 0) return {};
    const Status resized = mailbox.Resize(kJob, window.ws_row, window.ws_col);
    if (!resized && resized.error().system_errno == ESRCH) return {};
    window_changed_ = false;
    return resized;
  }

  void TakeStatus(uint32_t wait_status) {
    const auto status = static_cast<int>(wait_status);
    if (WIFSIGNALED(status)) {
      report_.end = RunReport::End::kSignal;
      report_.signal = WTERMSIG(status);
      report_.exit_code = 128 + report_.signal;
    } else {
      report_.exit_code = WEXITSTATUS(status);
    }
  }

  void EndBy(RunReport::End end, int exit_code, uint32_t limit) {
    report_.end = end;
    report_.exit_code = exit_code;
    report_.limits_met |= limit;
    patience_ = kPatience;
  }

  void Break(const Error& error) {
    report_.end = RunReport::End::kBroken;
    report_.exit_code = kOwnFailure;
    report_.reason = error.ToString();
    patience_ = kPatience;
  }

  void BreakDamaged() {
    Break({ErrorCode::kCorrupt, "sandbox ended: its control page is damaged", {}, 0});
  }

  // Otherwise the service may not answer any more, and what it would say is worth nothing.
  [[nodiscard]] bool EndedInOrder() const {
    return report_.end == RunReport::End::kExited || report_.end == RunReport::End::kSignal ||
           report_.end == RunReport::End::kWallTime;
  }

  void CollectUsage(Mailbox& mailbox) {
    const control::Control& page = keeper_->page();
    if (EndedInOrder()) {
      if (const Result<control::Usage> usage = mailbox.ReadUsage(); usage) {
        report_.processes_started = usage->processes_started;
        report_.processes_peak = usage->processes_peak;
        report_.memory_peak_bytes = usage->memory_bytes_peak;
        report_.file_bytes = usage->file_bytes;
      }
    }
    report_.limits_met |= page.limits_met.load();
  }

  void CheckKernel(Mailbox& mailbox) {
    Status checked = mailbox.KillAll();
    // Those that were killed take a moment to go.
    const auto deadline = steady_clock::now() + kGrace;
    for (uint64_t left = 1; checked && left > 0;) {
      // The kernel does not know of what the host killed before it is told.
      if (const Status alive = keeper_->Reap(); !alive) return Break(alive.error());
      const Result<control::Usage> usage = mailbox.ReadUsage();
      if (!usage) return Break(usage.error());
      left = usage->processes_now;
      if (steady_clock::now() >= deadline) {
        checked = Fail(ErrorCode::kCorrupt, std::to_string(left) + " processes did not end");
      }
      if (left > 0) std::this_thread::sleep_for(milliseconds(1));
    }
    if (checked) checked = mailbox.CheckKernel();
    if (!checked) Break(checked.error());
  }

  // What was printed until now is kept. Nobody is left who could fill the rings again.
  void FinishOutput() {
    streams_->Finish(patience_);
    // Done as the last thing of the command, it is seen here first.
    if (streams_->damaged() && EndedInOrder()) BreakDamaged();
    report_.input_bytes = streams_->input().bytes;
    report_.output_bytes = streams_->output().bytes;
    report_.error_bytes = streams_->error().bytes;
    report_.truncated = streams_->output().truncated || streams_->error().truncated;
    if (report_.truncated) report_.limits_met |= control::kLimitOutput;
  }

  const RunRequest& request_;
  RunReport report_;
  std::unique_ptr<Keeper> keeper_;
  std::unique_ptr<JobStreams> streams_;
  std::chrono::nanoseconds cpu_before_{0};
  steady_clock::time_point grace_over_ = steady_clock::time_point::max();
  int asked_by_ = 0;
  bool window_changed_ = false;
  milliseconds patience_ = milliseconds::max();
};

}  // namespace

Result<RunReport> RunCommand(const RunRequest& request) {
  return CommandRun(request).Run();
}

}  // namespace cordon::backend
