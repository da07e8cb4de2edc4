#include "backend/native/keeper.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <vector>

#include "backend/native/control_groups.h"
#include "backend/native/fit.h"
#include "backend/native/hand_over.h"
#include "backend/native/init.h"
#include "backend/native/namespaces.h"
#include "backend/native/output.h"
#include "backend/native/overlay.h"
#include "backend/native/terminal.h"
#include "backend/native/usage.h"
#include "backend/native/work_folder.h"
#include "base/owned_fd.h"
#include "base/units.h"
#include "net/gateway.h"

namespace cordon::backend::native {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kSampleTime{50};
constexpr int kNoNetwork = 125;
// For a client that does not read, after the end.
constexpr milliseconds kDrainTime{200};

// With what its owner can do about it.
std::unexpected<Error> NoNamespaces(int error) {
  constexpr const char* kCall = "clone3(CLONE_NEWUSER | CLONE_NEWPID | …)";
  std::string remedy;
  if (error == EPERM || error == EACCES) {
    remedy =
        ": user namespaces are not allowed here (sysctl kernel.unprivileged_userns_clone=1, "
        "kernel.apparmor_restrict_unprivileged_userns=0; in a container, a seccomp profile that "
        "allows clone3 and unshare)";
  } else if (error == ENOSPC || error == EUSERS) {
    remedy = ": there may be no more of them (sysctl user.max_user_namespaces)";
  } else if (error == ENOSYS) {
    remedy =
        ": not in this kernel or not allowed by a container's seccomp profile; the native "
        "wall needs Linux 5.12";
  } else {
    return SystemError(kCall, error);
  }
  return Fail(ErrorCode::kUnsupported, kCall + remedy);
}

// What an unprivileged container takes away, and how it gets it: by the step that failed with
// EPERM.
struct ContainerLack {
  std::string_view step;
  const char* remedy;
};
constexpr ContainerLack kContainerLacks[] = {
    {"sethostname",
     ": a container's system call filter forbids it (podman run --security-opt seccomp=unconfined "
     "--security-opt unmask=ALL)"},
    {"fsmount(proc)",
     ": parts of a container's /proc are masked, and the kernel lets nobody inside see them in a "
     "new one (podman run --security-opt unmask=ALL; docker: systempaths=unconfined)"}};

class Keeper {
 public:
  explicit Keeper(const RunRequest& request)
      : request_(request), plan_(request.plan), groups_(ControlGroups::Make(request.plan.limits)) {}
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper();

  Status Start();
  Result<Report> Wait();

 private:
  [[nodiscard]] Status CheckLimits();
  Status CheckStreams();
  Status MakePipes();
  Status StartGateway();
  Status OpenSecrets();
  Status MakeWorkFolder();
  Status TakeSignals();
  Status StartInit();
  [[nodiscard]] milliseconds TimeToWait() const;
  void Look();
  void KillAll(Report::End why);
  void ForwardSignals() const;
  void TakeOver();
  void Drain();
  [[nodiscard]] std::unexpected<Error> NothingRan();
  void FinishNetwork(Report* report);
  [[nodiscard]] Report Finish(int status);

  const RunRequest& request_;
  const policy::Plan& plan_;
  std::optional<WorkFolder> work_folder_;
  ControlGroups groups_;
  Progress* progress_ = nullptr;
  std::vector<OwnedFd> secrets_;
  std::vector<OutputPipe> outputs_;
  std::array<int, 3> writers_ = {-1, -1, -1};  // of outputs_, by the stream
  std::optional<net::Gateway> gateway_;
  OwnedFd hand_over_;
  OwnedFd staged_;
  OwnedFd terminal_;
  InputRelay input_;
  std::optional<termios> modes_before_;
  OwnedFd init_pidfd_;
  OwnedFd signals_;
  OwnedFd alive_;
  pid_t init_ = -1;
  std::optional<sigset_t> mask_before_;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point next_sample_ = begin_ + kSampleTime;
  bool samples_ = false;
  std::optional<Report::End> killed_for_;
};

bool SameModes(const termios& a, const termios& b) {
  return a.c_iflag == b.c_iflag && a.c_oflag == b.c_oflag && a.c_cflag == b.c_cflag &&
         a.c_lflag == b.c_lflag && std::ranges::equal(a.c_cc, b.c_cc);
}

Keeper::~Keeper() {
  if (init_ > 0) {
    (void)kill(init_, SIGKILL);
    while (waitpid(init_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  termios modes = {};
  if (modes_before_ && tcgetattr(STDIN_FILENO, &modes) == 0 && !SameModes(modes, *modes_before_)) {
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &*modes_before_);
  }
  for (const policy::Mount& mount : plan_.mounts) {
    if (work_folder_ && LayersOf(plan_, mount) == Layers::kWritable) RemoveMarks(plan_, mount);
  }
  if (mask_before_) (void)sigprocmask(SIG_SETMASK, &*mask_before_, nullptr);
  if (progress_ != nullptr) (void)munmap(progress_, sizeof *progress_);
}

Status Keeper::Start() {
  CORDON_TRY(CheckLimits());
  CORDON_TRY(CheckStreams());
  CORDON_TRY(StartGateway());
  CORDON_TRY(OpenSecrets());
  CORDON_TRY(MakeWorkFolder());
  CORDON_TRY(TakeSignals());
  return StartInit();
}

// What the groups do not hold, somebody else must.
Status Keeper::CheckLimits() {
  const policy::LimitPlan& limits = plan_.limits;
  if (limits.cpus && !groups_.holds_processors()) {
    return Fail(ErrorCode::kUnsupported,
                "a share of the processors needs a control group, and none can be made here");
  }
  // The kernel does not count root's processes against a limit of resources.
  if (limits.processes && !groups_.holds_processes() && getuid() == 0) {
    return Fail(
        ErrorCode::kUnsupported,
        "as root a limit of processes needs a control group, and none can be made here (in a "
        "container: run it as an ordinary user, or give it control groups to write)");
  }
  samples_ = limits.cpu_time || (limits.memory_bytes && !groups_.holds_memory());
  return {};
}

Status Keeper::CheckStreams() {
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
  // A terminal that the command shares with the caller, it leaves as it was.
  termios modes = {};
  if (!request_.has_terminal && tcgetattr(STDIN_FILENO, &modes) == 0) modes_before_ = modes;
  return MakePipes();
}

// Streams are counted on their way, where somebody counts.
Status Keeper::MakePipes() {
  const uint64_t limit = plan_.limits.output_bytes.value_or(UINT64_MAX);
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    const bool is_on_terminal =
        request_.has_terminal && (fd == STDOUT_FILENO || isatty(STDERR_FILENO) == 1);
    if (is_on_terminal || (!request_.has_terminal && !plan_.limits.output_bytes)) continue;
    Result<OutputPipe> pipe = OutputPipe::Make(fd, limit);
    if (!pipe) return std::unexpected(pipe.error());
    writers_[fd] = pipe->writer();
    outputs_.push_back(std::move(*pipe));
  }
  return {};
}

// First of all that takes time: it gets ready while the wall is built.
Status Keeper::StartGateway() {
  if (!HasGateway(plan_)) return {};
  Result<net::Gateway> gateway =
      net::Gateway::Start({request_.gateway, net::ConfigFor(plan_.network), request_.network_log});
  if (!gateway) return std::unexpected(gateway.error());
  gateway_.emplace(std::move(*gateway));
  return {};
}

Status Keeper::OpenSecrets() {
  for (const policy::SecretDescriptor& secret : plan_.secrets) {
    secrets_.emplace_back(open(secret.source.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    struct stat stat = {};
    if (!secrets_.back().valid() || fstat(secrets_.back().get(), &stat) != 0) {
      return SystemError("open(" + secret.source + ")");
    }
    if (!S_ISREG(stat.st_mode)) return Fail(ErrorCode::kInvalid, secret.source + " is no file");
  }
  return {};
}

// For all overlays: those that are written to work on one mount.
Status Keeper::MakeWorkFolder() {
  for (const policy::Mount& mount : plan_.mounts) {
    if (LayersOf(plan_, mount) != Layers::kWritable) continue;
    std::vector<std::string> homes;
    if (!request_.cache_folder.empty()) homes.push_back(request_.cache_folder + "/overlays/");
    homes.insert(homes.end(), {"/var/tmp", "/tmp"});
    if (!work_folder_) {
      Result<WorkFolder> made = WorkFolder::Make(mount.source, homes);
      if (!made) return std::unexpected(made.error());
      work_folder_.emplace(std::move(*made));
    }
    RemoveMarks(plan_, mount);
  }
  return {};
}

Status Keeper::TakeSignals() {
  sigset_t signals = ForwardedSignals();
  // A client that goes away is an error of splice(2).
  sigaddset(&signals, SIGPIPE);
  sigset_t before;
  if (sigprocmask(SIG_BLOCK, &signals, &before) != 0) return SystemError("sigprocmask");
  mask_before_ = before;
  sigset_t child = signals;
  sigaddset(&child, SIGCHLD);
  // Inherited by the init, which waits for them.
  if (sigprocmask(SIG_BLOCK, &child, nullptr) != 0) return SystemError("sigprocmask");
  signals_.reset(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return SystemError("signalfd");
  return {};
}

Status Keeper::StartInit() {
  void* page =
      mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return SystemError("mmap(MAP_SHARED)");
  progress_ = static_cast<Progress*>(page);
  int alive[2];
  if (pipe2(alive, O_CLOEXEC) != 0) return SystemError("pipe2");
  const OwnedFd reader(alive[0]);
  alive_.reset(alive[1]);
  Result<HandOver> hand_over = HandOver::Make();
  if (!hand_over) return std::unexpected(hand_over.error());
  const OwnedFd terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  const InitRequest request = {
      .plan = plan_,
      .groups = groups_,
      .progress = progress_,
      .alone = groups_.holds_memory() && groups_.holds_processes() ? Alone::kNo : Alone::kYes,
      .session = terminal.valid() ? Session::kOwn : Session::kCallers,
      .terminal = request_.has_terminal ? TerminalOf::kCommand : TerminalOf::kNobody,
      .outer_uid = getuid(),
      .outer_gid = getgid(),
      .output = writers_[STDOUT_FILENO],
      .error_output = writers_[STDERR_FILENO],
      .hand_over = hand_over->init.get(),
      .gateway = gateway_ ? gateway_->namespace_channel() : -1,
      .keeper_alive = reader.get(),
      .secrets = secrets_,
      .work_folder = work_folder_ ? work_folder_->path() : "",
      .workspace_view = request_.workspace_view};
  int pidfd = -1;
  clone_args arguments = {};
  arguments.flags = kNamespaceFlags | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (groups_.unified_fd() >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(groups_.unified_fd());
  }
  // A copy on its own stack, as fork; the first process of new namespaces.
  const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) {
    alive_.reset();
    RunInit(request);
  }
  if (pid < 0) return NoNamespaces(errno);
  init_ = static_cast<pid_t>(pid);
  init_pidfd_.reset(pidfd);
  if (gateway_) gateway_->CloseNamespaceChannel();
  for (OutputPipe& output : outputs_) output.CloseWriter();
  hand_over_ = std::move(hand_over->keeper);
  return {};
}

milliseconds Keeper::TimeToWait() const {
  const Clock::time_point now = Clock::now();
  Clock::time_point until = Clock::time_point::max();
  if (plan_.limits.wall_time) until = begin_ + *plan_.limits.wall_time;
  if (samples_) until = std::min(until, next_sample_);
  if (until == Clock::time_point::max()) return milliseconds(-1);
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(until - now));
}

void Keeper::KillAll(Report::End why) {
  if (killed_for_) return;
  killed_for_ = why;
  // With the first process of its namespace every other one ends.
  (void)kill(init_, SIGKILL);
}

void Keeper::Look() {
  const Clock::time_point now = Clock::now();
  if (plan_.limits.wall_time && now >= begin_ + *plan_.limits.wall_time) {
    KillAll(Report::End::kWallTime);
  }
  if (!samples_ || now < next_sample_) return;
  next_sample_ = now + kSampleTime;
  const Usage usage = MeasureUsage(init_);
  if (plan_.limits.cpu_time && usage.cpu_time >= *plan_.limits.cpu_time) {
    KillAll(Report::End::kCpuTime);
  }
  if (plan_.limits.memory_bytes && usage.memory_bytes > *plan_.limits.memory_bytes) {
    KillAll(Report::End::kMemory);
  }
}

void Keeper::ForwardSignals() const {
  signalfd_siginfo info = {};
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGWINCH && terminal_.valid()) {
      CopyWindowSize(STDIN_FILENO, terminal_.get());
    } else if (info.ssi_signo != SIGPIPE) {
      (void)kill(init_, static_cast<int>(info.ssi_signo));
    }
  }
}

// What the first process made inside.
void Keeper::TakeOver() {
  while (std::optional<Received> received = Receive(hand_over_.get())) {
    if (received->what == Handed::kStagedFolder) {
      staged_ = std::move(received->fd);
      continue;
    }
    terminal_ = std::move(received->fd);
    (void)fcntl(terminal_.get(), F_SETFL, O_RDWR | O_NONBLOCK);
    CopyWindowSize(STDIN_FILENO, terminal_.get());
    input_.Begin(STDIN_FILENO, terminal_.get());
    outputs_.push_back(OutputPipe::FromTerminal(OwnedFd(fcntl(terminal_.get(), F_DUPFD_CLOEXEC, 0)),
                                                STDOUT_FILENO,
                                                plan_.limits.output_bytes.value_or(UINT64_MAX)));
  }
}

Result<Report> Keeper::Wait() {
  for (;;) {
    std::array<pollfd, 6> fds = {{{init_pidfd_.get(), POLLIN, 0},
                                  {signals_.get(), POLLIN, 0},
                                  {hand_over_.get(), POLLIN, 0},
                                  input_.Wanted(),
                                  {-1, 0, 0},
                                  {-1, 0, 0}}};
    const size_t outputs = outputs_.size();
    for (size_t i = 0; i < outputs; ++i) fds[i + 4] = outputs_[i].Wanted();
    const int ready = poll(fds.data(), fds.size(), static_cast<int>(TimeToWait().count()));
    if (ready < 0 && errno != EINTR) break;
    Look();
    if (ready <= 0) continue;
    if (fds[1].revents != 0) ForwardSignals();
    if (fds[2].revents != 0) TakeOver();
    if ((fds[2].revents & POLLHUP) != 0) hand_over_.reset();
    if (fds[3].revents != 0) input_.Move();
    for (size_t i = 0; i < outputs; ++i) {
      if (fds[i + 4].revents != 0) outputs_[i].Move();
    }
    if (fds[0].revents != 0) break;
  }
  input_.End();
  int status = 0;
  while (waitpid(init_, &status, 0) < 0 && errno == EINTR) {
  }
  init_ = -1;
  if (progress_->failed_text[0] != 0) return NothingRan();
  if (!progress_->started.load() && !killed_for_) {
    return Fail(ErrorCode::kSystem, "the first process of the sandbox was killed");
  }
  Drain();
  Report report = Finish(status);
  FinishNetwork(&report);
  if (staged_.valid()) report.not_taken = TakeStagedFiles(plan_, staged_.get());
  return report;
}

std::unexpected<Error> Keeper::NothingRan() {
  // Whoever was to get the network had gone, and knows why.
  if (gateway_ && progress_->failed_errno == EPIPE) {
    const Result<net::Summary> summary = gateway_->Finish();
    if (!summary) return std::unexpected(summary.error());
  }
  if (progress_->failed_errno == ENOSYS) {
    return Fail(ErrorCode::kUnsupported, std::string(progress_->failed_text) +
                                             ": this kernel has no such call; the native wall "
                                             "needs Linux 5.12");
  }
  std::string text = progress_->failed_text;
  for (const ContainerLack& lack : kContainerLacks) {
    if (progress_->failed_errno == EPERM && text.starts_with(lack.step)) text += lack.remedy;
  }
  return std::unexpected(Error{static_cast<ErrorCode>(progress_->failed_code), std::move(text), "",
                               progress_->failed_errno});
}

// Without its gateway the command had no network from some moment on, and nobody knows what it
// reached: that is no success.
void Keeper::FinishNetwork(Report* report) {
  if (!gateway_) return;
  Result<net::Summary> summary = gateway_->Finish();
  if (summary) {
    report->network = std::move(*summary);
    return;
  }
  if (!report->reason.empty()) report->reason += "; ";
  report->reason += summary.error().ToString();
  if (killed_for_) return;
  report->end = Report::End::kNetwork;
  report->exit_code = kNoNetwork;
}

// Nobody is left who writes: what is in the pipes is all there is.
void Keeper::Drain() {
  const Clock::time_point until = Clock::now() + kDrainTime;
  const bool has_time = !killed_for_;
  for (;;) {
    std::array<pollfd, 2> fds = {{{-1, 0, 0}, {-1, 0, 0}}};
    bool is_open = false;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      fds[i] = outputs_[i].Wanted();
      is_open = is_open || outputs_[i].is_open();
    }
    if (!is_open) return;
    // A slow reader gets everything; after a time-out it does not hold the result.
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    if (!has_time && left <= milliseconds(0)) return;
    if (poll(fds.data(), fds.size(), has_time ? -1 : static_cast<int>(left.count())) < 0 &&
        errno != EINTR) {
      return;
    }
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (fds[i].revents != 0) outputs_[i].Move();
    }
  }
}

Report Keeper::Finish(int status) {
  Report report;
  report.limits_by = groups_.name();
  for (const OutputPipe& output : outputs_) {
    report.output_dropped = report.output_dropped || output.is_over();
  }
  const policy::LimitPlan& limits = plan_.limits;
  if (killed_for_) {
    report.end = *killed_for_;
    report.exit_code = *killed_for_ == Report::End::kWallTime ? 124 : 137;
    if (*killed_for_ == Report::End::kWallTime) {
      report.reason = "limit wall time " + FormatDuration(*limits.wall_time);
    } else if (*killed_for_ == Report::End::kCpuTime) {
      report.reason = "limit CPU time " + FormatDuration(*limits.cpu_time);
    } else {
      report.reason = "limit memory " + FormatSize(*limits.memory_bytes);
    }
    return report;
  }
  if (progress_->before_text[0] != 0) {
    report.end = Report::End::kBefore;
    report.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    report.reason = progress_->before_text;
    return report;
  }
  if (const int error = progress_->start_errno; error != 0) {
    const bool is_missing = error == ENOENT || error == ENOTDIR;
    report.end = is_missing ? Report::End::kNotFound : Report::End::kNotRun;
    report.exit_code = is_missing ? 127 : 126;
    report.reason = plan_.program + ": " + strerror(error);
    return report;
  }
  report.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  report.end = report.exit_code > 128 ? Report::End::kSignal : Report::End::kExited;
  if (groups_.RanOutOfMemory()) {
    report.end = Report::End::kMemory;
    report.reason = "limit memory " + FormatSize(*limits.memory_bytes);
  }
  return report;
}

}  // namespace

Result<Report> RunPlan(const RunRequest& request) {
  CORDON_TRY(CheckFits(request.plan));
  if (request.plan.workspace.shadow && !request.workspace_view) {
    return Fail(ErrorCode::kInternal, "no view of the workspace");
  }
  Keeper keeper(request);
  CORDON_TRY(keeper.Start());
  return keeper.Wait();
}

}  // namespace cordon::backend::native
