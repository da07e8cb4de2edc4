#include "backend/native/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <vector>

#include "backend/native/control_groups.h"
#include "backend/native/fit.h"
#include "backend/native/hand_over.h"
#include "backend/native/init.h"
#include "backend/native/mount_calls.h"
#include "backend/native/namespaces.h"
#include "backend/native/overlay.h"
#include "backend/native/prepared_root.h"
#include "backend/native/terminal.h"
#include "backend/native/watch.h"
#include "backend/native/work_folder.h"
#include "base/owned_fd.h"
#include "net/gateway.h"
#include "net/port_relay.h"

namespace cordon::backend::native {
namespace {

// What an unprivileged container takes away, and how it gets it: by the step that is not allowed.
struct ContainerLack {
  std::string_view step;
  const char* remedy;
};
constexpr ContainerLack kContainerLacks[] = {
    {"write(/proc/self/", kNamespacesRemedy},
    {"unshare(CLONE_NEWNET", kNamespacesRemedy},
    {"ioctl(SIOCSIFFLAGS", kNamespacesRemedy},
    {"sethostname",
     ": a container's system call filter forbids it (podman run --security-opt seccomp=unconfined "
     "--security-opt unmask=ALL)"},
    {"fsmount(proc)",
     ": parts of a container's /proc are masked, and the kernel lets nobody inside see them in a "
     "new one (podman run --security-opt unmask=ALL; docker: systempaths=unconfined)"}};

class Keeper {
 public:
  explicit Keeper(const RunRequest& request)
      : request_(request),
        plan_(request.plan),
        watch_(request.plan.limits, ControlGroups::Make(request.plan.limits)) {}
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper();

  Status Start();
  Result<Report> Wait();

 private:
  Status CheckStreams();
  Status StartGateway();
  Status ListenAtPorts();
  Status PublishPorts();
  Status OpenSecrets();
  Status MakeWorkFolder();
  Status TakeSignals();
  Status StartInit();
  void ForwardSignals() const;
  void TellEnd();
  void WatchMounts();
  void CheckHidden();
  void KeepRoot();
  void TakeOver();
  [[nodiscard]] std::unexpected<Error> NothingRan();
  [[nodiscard]] Report Finish(int status, const rusage& usage) const;

  const RunRequest& request_;
  const policy::Plan& plan_;
  CommandWatch watch_;
  std::optional<WorkFolder> work_folder_;
  std::optional<PreparedRoot> prepared_root_;
  bool is_root_kept_ = false;    // for the next command, or it cannot be
  std::optional<Report> ended_;  // before its namespaces had
  Progress* progress_ = nullptr;
  std::vector<OwnedFd> secrets_;
  std::optional<net::Gateway> gateway_;
  std::optional<net::PortRelay> ports_;
  OwnedFd mounts_;         // tells of every change of the command's mounts
  bool is_hiding_ = true;  // what is to be hidden was, once the command had started
  std::string uncovered_;  // what was to be hidden and is not any more
  OwnedFd hand_over_;
  OwnedFd staged_;
  OwnedFd terminal_;
  InputRelay input_;
  std::optional<termios> modes_before_;
  OwnedFd init_pidfd_;
  pid_t init_ = -1;
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
  if (progress_ != nullptr) (void)munmap(progress_, sizeof *progress_);
}

Status Keeper::Start() {
  if (request_.measures_memory) watch_.MeasureMemory();
  // Root's processes count against no limit of the kernel's.
  CORDON_TRY(watch_.CheckLimits(getuid() == 0 ? CommandWatch::Processes::kNotCounted
                                              : CommandWatch::Processes::kCounted));
  CORDON_TRY(CheckStreams());
  CORDON_TRY(StartGateway());
  CORDON_TRY(ListenAtPorts());
  CORDON_TRY(OpenSecrets());
  CORDON_TRY(MakeWorkFolder());
  CORDON_TRY(TakeSignals());
  CORDON_TRY(StartInit());
  return PublishPorts();
}

// Streams are counted on their way, where somebody counts.
Status Keeper::CheckStreams() {
  CORDON_TRY(CommandWatch::CheckStreams());
  // A terminal that the command shares with the caller, it leaves as it was.
  termios modes = {};
  if (!request_.has_terminal && tcgetattr(STDIN_FILENO, &modes) == 0) modes_before_ = modes;
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    const bool is_on_terminal =
        request_.has_terminal && (fd == STDOUT_FILENO || isatty(STDERR_FILENO) == 1);
    if (is_on_terminal || (!request_.has_terminal && !watch_.MustCarry(fd))) continue;
    CORDON_TRY(watch_.CountOutput(fd));
  }
  return {};
}

// First of all that takes time: it gets ready while the wall is built.
Status Keeper::StartGateway() {
  if (!HasGateway(plan_)) return {};
  net::GatewayConfig config = net::ConfigFor(plan_.network);
  config.asks_who = true;
  Result<net::Gateway> gateway =
      net::Gateway::Start({request_.gateway, std::move(config), request_.network_log});
  if (!gateway) return std::unexpected(gateway.error());
  gateway_.emplace(std::move(*gateway));
  return {};
}

// A port that somebody else has is an error before anything is made.
Status Keeper::ListenAtPorts() {
  if (plan_.network.ports.empty()) return {};
  Result<net::PortRelay> relay = net::PortRelay::Listen(plan_.network.ports);
  if (!relay) return std::unexpected(relay.error());
  ports_.emplace(std::move(*relay));
  return {};
}

// The first process waits for it. Whoever connects waits until the command listens, or is turned
// away.
Status Keeper::PublishPorts() {
  if (!ports_) return {};
  const Result<Doors> doors = OpenDoors(init_);
  if (!doors) return std::unexpected(doors.error());
  CORDON_TRY(ports_->Start({request_.gateway, doors->user.get(), doors->net.get()}));
  return LetGo(hand_over_.get());
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

// The init inherits what is blocked, and waits for it.
Status Keeper::TakeSignals() {
  CORDON_TRY(watch_.TakeSignals());
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &child, nullptr) != 0) return SystemError("sigprocmask");
  return {};
}

Status Keeper::StartInit() {
  void* page =
      mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return SystemError("mmap(MAP_SHARED)");
  progress_ = static_cast<Progress*>(page);
  const OwnedFd alive(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  if (!alive.valid()) return SystemError("pidfd_open");
  HandOver hand_over;
  if (request_.has_terminal || ports_ || !StagedFiles(plan_).empty()) {
    Result<HandOver> made = HandOver::Make();
    if (!made) return std::unexpected(made.error());
    hand_over = std::move(*made);
  }
  prepared_root_ = PreparedRoot::Find(request_.cache_folder, plan_, IdentityOf(getuid(), getgid()));
  const OwnedFd terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  // Who publishes ports enters it before the first process goes on.
  const Network network = ports_ ? Network::kWithFirstProcess : Network::kBesideRoot;
  const InitRequest request = {
      .plan = plan_,
      .groups = watch_.groups(),
      .progress = progress_,
      .alone = watch_.groups().holds_memory() && watch_.groups().holds_processes() ? Alone::kNo
                                                                                   : Alone::kYes,
      .session = terminal.valid() ? Session::kOwn : Session::kCallers,
      .terminal = request_.has_terminal ? TerminalOf::kCommand : TerminalOf::kNobody,
      .outer_uid = getuid(),
      .outer_gid = getgid(),
      .output = watch_.writer(STDOUT_FILENO),
      .error_output = watch_.writer(STDERR_FILENO),
      .hand_over = hand_over.init.get(),
      .network = network,
      .waits = ports_.has_value(),
      .gateway = gateway_ ? gateway_->namespace_channel() : -1,
      .keeper = alive.get(),
      .secrets = secrets_,
      .work_folder = work_folder_ ? work_folder_->path() : "",
      .workspace_view = request_.workspace_view,
      .prepared = prepared_root_ ? &*prepared_root_ : nullptr};
  const auto run = [](const void* argument) {
    RunInit(*static_cast<const InitRequest*>(argument));
  };
  Result<FirstProcess> first = BearFirst(watch_.groups().unified_fd(), network, run, &request);
  if (!first) return std::unexpected(first.error());
  init_ = first->pid;
  init_pidfd_ = std::move(first->pidfd);
  if (gateway_) {
    gateway_->CloseNamespaceChannel();
    watch_.AnswerFor(&*gateway_, init_);
  }
  watch_.CloseWriters();
  hand_over_ = std::move(hand_over.keeper);
  WatchMounts();
  return {};
}

bool IsHidden(const policy::Mount& mount) {
  return mount.kind == policy::MountKind::kMask && mount.name == "excluded";
}

// What somebody outside removes, or renames another file over, is no mount point any more in any
// namespace (since Linux 3.18), and what comes into its place is seen. In an overlay that does not
// happen.
void Keeper::WatchMounts() {
  if (plan_.workspace.shadow || std::ranges::none_of(plan_.mounts, IsHidden)) return;
  is_hiding_ = false;
  mounts_.reset(
      open(("/proc/" + std::to_string(init_) + "/mountinfo").c_str(), O_RDONLY | O_CLOEXEC));
}

// Whoever waits for that moment may see it; nobody sees it for longer.
void Keeper::CheckHidden() {
  if (!progress_->started.load() || progress_->ended.load() || !uncovered_.empty()) return;
  is_hiding_ = true;
  const std::vector<std::string> points = MountPointsOf(init_);
  for (const policy::Mount& mount : plan_.mounts) {
    if (points.empty() || !IsHidden(mount)) continue;
    if (std::ranges::find(points, mount.target) != points.end()) continue;
    uncovered_ = mount.target;
    (void)kill(init_, SIGKILL);
    return;
  }
}

void Keeper::ForwardSignals() const {
  while (const std::optional<signalfd_siginfo> info = watch_.NextSignal()) {
    if (info->ssi_signo == SIGWINCH && terminal_.valid()) {
      CopyWindowSize(STDIN_FILENO, terminal_.get());
    } else {
      (void)kill(init_, static_cast<int>(info->ssi_signo));
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
    watch_.CountTerminal(OwnedFd(fcntl(terminal_.get(), F_DUPFD_CLOEXEC, 0)));
  }
}

// The kernel takes the namespaces down, which lasts as long as writing down what happened does. A
// gateway has its say at the very end.
void Keeper::TellEnd() {
  if (ended_ || !progress_->ended.load() || watch_.is_ended() || gateway_) return;
  ended_ = Finish(W_EXITCODE(progress_->ended_code, 0), {});
  if (request_.on_end) request_.on_end(*ended_);
}

// Once the root stands, and a terminal has been taken over: nobody needs this process for a moment.
void Keeper::KeepRoot() {
  if (prepared_root_ || is_root_kept_ || hand_over_.valid()) return;
  is_root_kept_ = true;
  PreparedRoot::Keep(request_.cache_folder, plan_, IdentityOf(getuid(), getgid()));
}

Result<Report> Keeper::Wait() {
  for (;;) {
    KeepRoot();
    std::array<pollfd, 4 + CommandWatch::kPolled> fds = {{{init_pidfd_.get(), POLLIN, 0},
                                                          {hand_over_.get(), POLLIN, 0},
                                                          input_.Wanted(),
                                                          {mounts_.get(), POLLPRI, 0}}};
    pollfd* watched = fds.data() + 4;
    std::ranges::copy(watch_.Wanted(), watched);
    // Until it has started nobody tells of that.
    constexpr int kStartMs = 10;
    const int ready = poll(fds.data(), fds.size(), is_hiding_ ? watch_.PollTime() : kStartMs);
    if (ready < 0 && errno != EINTR) break;
    if (!is_hiding_) CheckHidden();
    // With the first process of its namespace every other one ends.
    if (!ended_ && watch_.PassesLimit(init_, progress_->segments_bytes.load()))
      (void)kill(init_, SIGKILL);
    if (ready <= 0) continue;
    if (fds[3].revents != 0) CheckHidden();
    if (watched->revents != 0) ForwardSignals();
    watch_.MoveOutput(watched);
    TellEnd();
    if (fds[1].revents != 0) TakeOver();
    if ((fds[1].revents & POLLHUP) != 0) hand_over_.reset();
    if (fds[2].revents != 0) input_.Move();
    if (fds[0].revents != 0) break;
  }
  input_.End();
  int status = 0;
  rusage usage = {};
  while (wait4(init_, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  init_ = -1;
  if (progress_->failed_text[0] != 0) return NothingRan();
  if (!uncovered_.empty()) {
    return Fail(ErrorCode::kInvalid,
                uncovered_ +
                    ", which is hidden, was removed or replaced outside while the command ran; the "
                    "command was ended (in a shadow it stays hidden)");
  }
  if (!progress_->started.load() && !watch_.is_ended()) {
    return Fail(ErrorCode::kSystem, "the first process of the sandbox was killed");
  }
  watch_.Drain();
  Report report = ended_ ? *ended_ : Finish(status, usage);
  watch_.FillUsage(usage, &report);
  if (gateway_) watch_.FinishNetwork(*gateway_, &report);
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
  if (progress_->failed_errno == ENOSPC && text.starts_with("unshare(CLONE_NEWNET")) {
    text += ": there may be no more of them (sysctl user.max_net_namespaces)";
  }
  for (const ContainerLack& lack : kContainerLacks) {
    const bool is_denied = progress_->failed_errno == EPERM || progress_->failed_errno == EACCES;
    if (is_denied && text.starts_with(lack.step)) text += lack.remedy;
  }
  return std::unexpected(Error{static_cast<ErrorCode>(progress_->failed_code), std::move(text), "",
                               progress_->failed_errno});
}

Report Keeper::Finish(int status, const rusage& usage) const {
  Report report = watch_.Finish(status, usage);
  if (watch_.is_ended()) return report;
  if (progress_->before_text[0] != 0) {
    report.end = Report::End::kBefore;
    report.reason = progress_->before_text;
  } else if (const int error = progress_->start_errno; error != 0) {
    const bool is_missing = error == ENOENT || error == ENOTDIR;
    report.end = is_missing ? Report::End::kNotFound : Report::End::kNotRun;
    report.exit_code = is_missing ? kNoProgram : kNotExecutable;
    report.reason = plan_.program + ": " + strerror(error);
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
