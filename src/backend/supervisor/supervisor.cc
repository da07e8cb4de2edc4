#include "backend/supervisor/supervisor.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "backend/host/program.h"
#include "backend/native/control_groups.h"
#include "backend/native/fit.h"
#include "backend/native/init.h"
#include "backend/native/namespaces.h"
#include "backend/native/net_namespace.h"
#include "backend/native/rights.h"
#include "backend/native/watch.h"
#include "net/gateway.h"
#include "net/namespace_setup.h"

namespace cordon::backend {
namespace {

constexpr int kFirstGiven = 3;
constexpr int kAboveAll = 256;
// Processes of the program itself, beside the command's.
constexpr uint64_t kOwnProcesses = 2;

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

class Supervisor {
 public:
  Supervisor(const policy::Plan& plan, Outer outer)
      : plan_(plan),
        outer_(std::move(outer)),
        watch_(plan.limits, outer_.limits == Outer::Limits::kKeeper
                                ? native::ControlGroups::Make(plan.limits)
                                : native::ControlGroups()) {}
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  ~Supervisor();

  Status Start();
  Result<PlanReport> Wait();

 private:
  Status CheckLimits();
  Status CountOutput();
  Status CarryInput();
  void GiveInputBack() const;
  Status StartGateway();
  Status StartWatcher();
  Status StartProgram();
  [[noreturn]] void BecomeProgram(int failure, int keeper);
  Status PrepareProgram(int keeper);
  Status EnterNetwork();
  void EndAll();
  void ForwardSignals() const;
  void KillRest();
  [[nodiscard]] std::unexpected<Error> NothingRan(const char* text);

  const policy::Plan& plan_;
  Outer outer_;
  native::CommandWatch watch_;
  std::optional<net::Gateway> gateway_;
  OwnedFd input_;  // instead of standard input, if it has one
  off_t input_begin_ = 0;
  OwnedFd alive_;    // of the program: closed with this process
  OwnedFd watched_;  // of the watcher
  OwnedFd pidfd_;
  OwnedFd failure_;
  pid_t program_ = -1;
  pid_t watcher_ = -1;
};

void Reap(pid_t pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Supervisor::~Supervisor() {
  if (program_ > 0) {
    (void)kill(program_, SIGKILL);
    Reap(program_);
  }
  KillRest();
  watched_.reset();
  if (watcher_ > 0) Reap(watcher_);
}

Status Supervisor::Start() {
  watch_.MeasureMemory();
  CORDON_TRY(CheckLimits());
  CORDON_TRY(native::CommandWatch::CheckStreams());
  CORDON_TRY(CountOutput());
  CORDON_TRY(watch_.TakeSignals());
  CORDON_TRY(CarryInput());
  CORDON_TRY(StartGateway());
  CORDON_TRY(StartWatcher());
  // What loses its parent comes here, and not to the host's first process; but for the engine's own
  // processes, which stay with a session.
  if (outer_.limits == Outer::Limits::kKeeper && prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
    return SystemError("prctl(PR_SET_CHILD_SUBREAPER)");
  return StartProgram();
}

Status Supervisor::CheckLimits() {
  using Processes = native::CommandWatch::Processes;
  if (outer_.limits == Outer::Limits::kItself) return {};
  const bool is_counted = getuid() != 0 && outer_.user == Outer::User::kOrdinary;
  return watch_.CheckLimits(is_counted ? Processes::kCounted : Processes::kNotCounted);
}

Status Supervisor::CountOutput() {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    if (watch_.MustCarry(fd)) CORDON_TRY(watch_.CountOutput(fd));
  }
  return {};
}

// A file that was opened to be read could be opened anew by /proc/self/fd/0, to be written: no
// mount of the command's is in between, nor Landlock. The process that reads it ends with this one.
Status Supervisor::CarryInput() {
  struct stat stat = {};
  const int flags = fcntl(STDIN_FILENO, F_GETFL);
  if (outer_.user != Outer::User::kOrdinary || fstat(STDIN_FILENO, &stat) != 0 ||
      !S_ISREG(stat.st_mode) || (flags & O_ACCMODE) != O_RDONLY) {
    return {};
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError("pipe2");
  input_.reset(ends[0]);
  const OwnedFd writer(ends[1]);
  input_begin_ = lseek(STDIN_FILENO, 0, SEEK_CUR);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return SystemError("fork");
  if (pid > 0) return {};
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(0);
  (void)signal(SIGPIPE, SIG_IGN);
  if (dup2(writer.get(), STDOUT_FILENO) < 0) _exit(0);
  (void)syscall(SYS_close_range, STDERR_FILENO, ~0U, 0);
  constexpr size_t kPart = 1 << 20;
  for (;;) {
    const ssize_t moved = splice(STDIN_FILENO, nullptr, STDOUT_FILENO, nullptr, kPart, 0);
    if (moved == 0 || (moved < 0 && errno != EINTR)) _exit(0);
  }
}

// What nobody took is there for whoever reads the file next.
void Supervisor::GiveInputBack() const {
  int left = 0;
  if (!input_.valid() || ioctl(input_.get(), FIONREAD, &left) != 0) return;
  const off_t now = lseek(STDIN_FILENO, 0, SEEK_CUR);
  (void)lseek(STDIN_FILENO, std::max(input_begin_, now - left), SEEK_SET);
}

// First of all that takes time: it gets ready while the rest is made.
Status Supervisor::StartGateway() {
  if (outer_.gateway.empty()) return {};
  net::GatewayConfig config = net::ConfigFor(plan_.network);
  // An engine's containers are nobody's descendants: looked for in vain.
  config.asks_who = outer_.limits == Outer::Limits::kKeeper;
  Result<net::Gateway> gateway =
      net::Gateway::Start({outer_.gateway, std::move(config), outer_.network_log});
  if (!gateway) return std::unexpected(gateway.error());
  gateway_.emplace(std::move(*gateway));
  return {};
}

// The namespace belongs to this process's user namespace: whoever is in one below it has no rights
// over it.
Status Supervisor::EnterNetwork() {
  if (!gateway_) return {};
  native::NetNamespace network;
  CORDON_TRY(network.Start());
  CORDON_TRY(network.Join());
  const Result<net::NamespaceSockets> sockets = net::SetUpNamespace();
  if (!sockets) {
    return Fail(ErrorCode::kUnsupported,
                "a network behind this wall needs a packet filter (kernel options NF_TABLES_INET, "
                "NFT_TPROXY): " +
                    sockets.error().ToString());
  }
  CORDON_TRY(net::SendSockets(gateway_->namespace_channel(), *sockets));
  return net::WaitForReceipt(gateway_->namespace_channel());
}

// A process of its own session: it outlives this one, and ends what this one had made.
Status Supervisor::StartWatcher() {
  if (outer_.ending.empty()) return {};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError("pipe2");
  const OwnedFd reader(ends[0]);
  watched_.reset(ends[1]);
  watcher_ = fork();
  if (watcher_ < 0) return SystemError("fork");
  if (watcher_ > 0) return {};
  watched_.reset();
  (void)setsid();
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0) _exit(125);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) (void)dup2(nothing, fd);
  char word = 0;
  ssize_t size = 0;
  while ((size = read(reader.get(), &word, 1)) < 0 && errno == EINTR) {
  }
  if (size == 1) _exit(0);
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
  const std::vector<char*> arguments = Pointers(outer_.ending);
  execv(arguments[0], arguments.data());
  _exit(125);
}

// What must hold before the program begins.
Status Supervisor::PrepareProgram(int keeper) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return SystemError("prctl(PR_SET_PDEATHSIG)");
  pollfd gone = {keeper, POLLIN, 0};
  if (poll(&gone, 1, 0) != 0) return Fail(ErrorCode::kSystem, "the keeper has gone");
  CORDON_TRY(watch_.groups().Enter());
  CORDON_TRY(EnterNetwork());
  if (input_.valid() && dup2(input_.get(), STDIN_FILENO) < 0) return SystemError("dup2");
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    const int writer = watch_.writer(fd);
    if (writer >= 0 && dup2(writer, fd) < 0) return SystemError("dup2");
  }
  if (outer_.limits == Outer::Limits::kKeeper) {
    policy::LimitPlan limits = plan_.limits;
    if (limits.processes) *limits.processes += kOwnProcesses;
    const native::ControlGroups& groups = watch_.groups();
    const bool is_alone = !groups.holds_memory() || !groups.holds_processes();
    CORDON_TRY(SetResourceLimits(limits, is_alone ? native::Alone::kYes : native::Alone::kNo));
  }
  if (!outer_.directory.empty() && chdir(outer_.directory.c_str()) != 0) {
    return SystemError("chdir(" + outer_.directory + ")");
  }
  return {};
}

void Supervisor::BecomeProgram(int failure, int keeper) {
  const auto fail = [failure](const Error& error) {
    const std::string text = error.ToString();
    (void)!write(failure, text.data(), text.size());
    _exit(125);
  };
  if (const Status prepared = PrepareProgram(keeper); !prepared) fail(prepared.error());
  // Out of the way first: numbers from 3 on may be anybody's.
  std::vector<int> moved;
  moved.reserve(outer_.descriptors.size());
  for (const OwnedFd& fd : outer_.descriptors) {
    moved.push_back(fcntl(fd.get(), F_DUPFD_CLOEXEC, kAboveAll));
  }
  const int status = fcntl(failure, F_DUPFD_CLOEXEC, kAboveAll);
  for (size_t i = 0; i < moved.size(); ++i) {
    if (moved[i] < 0 || dup2(moved[i], kFirstGiven + static_cast<int>(i)) < 0) {
      fail(Fail(ErrorCode::kSystem, "dup2").error());
    }
  }
  const unsigned end = kFirstGiven + static_cast<unsigned>(moved.size());
  (void)syscall(SYS_close_range, end, static_cast<unsigned>(status) - 1, 0);
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
  const std::vector<char*> arguments = Pointers(outer_.arguments);
  const std::vector<char*> variables = Pointers(outer_.variables);
  execve(outer_.program.c_str(), arguments.data(), variables.data());
  const std::string text = "execve(" + outer_.program + "): " + strerror(errno);
  (void)!write(status, text.data(), text.size());
  _exit(125);
}

Status Supervisor::StartProgram() {
  int alive[2];
  int failure[2];
  if (pipe2(alive, O_CLOEXEC) != 0 || pipe2(failure, O_CLOEXEC) != 0) return SystemError("pipe2");
  const OwnedFd reader(alive[0]);
  alive_.reset(alive[1]);
  failure_.reset(failure[0]);
  const OwnedFd writer(failure[1]);
  int pidfd = -1;
  clone_args arguments = {};
  arguments.flags = CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (outer_.user == Outer::User::kOrdinary) arguments.flags |= CLONE_NEWUSER;
  if (const int group = watch_.groups().unified_fd(); group >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(group);
  }
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) {
    alive_.reset();
    if (outer_.user == Outer::User::kOrdinary &&
        !native::MapIdentity(native::IdentityOf(uid, gid), uid, gid)) {
      constexpr std::string_view kText = "write(/proc/self/uid_map)";
      (void)!write(writer.get(), kText.data(), kText.size());
      _exit(125);
    }
    BecomeProgram(writer.get(), reader.get());
  }
  if (pid < 0) return SystemError("clone3");
  program_ = static_cast<pid_t>(pid);
  pidfd_.reset(pidfd);
  if (gateway_) {
    gateway_->CloseNamespaceChannel();
    watch_.AnswerFor(&*gateway_, program_);
  }
  watch_.CloseWriters();
  outer_.descriptors.clear();
  return {};
}

void Supervisor::EndAll() {
  // The watcher ends what has been made elsewhere.
  watched_.reset();
  (void)kill(program_, SIGKILL);
}

void Supervisor::ForwardSignals() const {
  while (const std::optional<signalfd_siginfo> info = watch_.NextSignal()) {
    // What a terminal sends, the program gets from it too: it is in the same group.
    if (info->ssi_code != SI_KERNEL) (void)kill(program_, static_cast<int>(info->ssi_signo));
  }
}

// Whatever the program left comes to this process, which ends it.
void Supervisor::KillRest() {
  if (outer_.limits == Outer::Limits::kItself) return;
  const std::string list = "/proc/self/task/" + std::to_string(getpid()) + "/children";
  for (;;) {
    char text[4096] = {};
    const OwnedFd file(open(list.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid() || read(file.get(), text, sizeof text - 1) <= 0) return;
    bool is_any = false;
    for (char* at = text; *at != 0;) {
      const auto pid = static_cast<pid_t>(strtol(at, &at, 10));
      while (*at == ' ') ++at;
      if (pid <= 0 || pid == watcher_ || (gateway_ && pid == gateway_->pid())) continue;
      is_any = true;
      (void)kill(pid, SIGKILL);
      Reap(pid);
    }
    if (!is_any) return;
  }
}

std::unexpected<Error> Supervisor::NothingRan(const char* text) {
  // Whoever was to get the network had gone, and knows why.
  if (gateway_ && strstr(text, strerror(EPIPE)) != nullptr) {
    const Result<net::Summary> summary = gateway_->Finish();
    if (!summary) return std::unexpected(summary.error());
  }
  return Fail(ErrorCode::kSystem, text);
}

Result<PlanReport> Supervisor::Wait() {
  for (;;) {
    std::array<pollfd, 1 + native::CommandWatch::kPolled> fds = {{{pidfd_.get(), POLLIN, 0}}};
    pollfd* watched = fds.data() + 1;
    std::ranges::copy(watch_.Wanted(), watched);
    const int ready = poll(fds.data(), fds.size(), watch_.PollTime());
    if (ready < 0 && errno != EINTR) break;
    if (watch_.PassesLimit(program_)) EndAll();
    if (ready <= 0) continue;
    if (watched->revents != 0) ForwardSignals();
    watch_.MoveOutput(watched);
    if (fds[0].revents != 0) break;
  }
  int status = 0;
  rusage usage = {};
  while (wait4(program_, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  program_ = -1;
  KillRest();
  GiveInputBack();
  // Its work is done, or it is doing it.
  if (watched_.valid()) (void)!write(watched_.get(), "", 1);
  watched_.reset();
  if (watcher_ > 0) Reap(watcher_);
  watcher_ = -1;
  char text[512] = {};
  if (read(failure_.get(), text, sizeof text - 1) > 0) return NothingRan(text);
  if (!watch_.is_ended() && outer_.own_failure) {
    if (std::string why = outer_.own_failure(); !why.empty()) {
      return Fail(ErrorCode::kUnsupported, std::move(why));
    }
  }
  watch_.Drain();
  PlanReport report = watch_.Finish(status, usage);
  if (outer_.limits == Outer::Limits::kItself) {
    report.limits_by = outer_.arguments.front();
    // Of the engine's client, which says nothing about the container.
    report.cpu_time.reset();
    report.memory_peak_bytes.reset();
  }
  if (gateway_) watch_.FinishNetwork(*gateway_, &report);
  return report;
}

}  // namespace

Result<PlanReport> Supervise(const policy::Plan& plan, Outer outer) {
  Supervisor supervisor(plan, std::move(outer));
  CORDON_TRY(supervisor.Start());
  return supervisor.Wait();
}

std::string FindWallProgram(const policy::Plan& plan, const std::string& name) {
  const auto named = std::ranges::find(plan.wall_programs, name, &policy::WallProgram::name);
  if (named == plan.wall_programs.end()) {
    return native::FindIn(HostPath(plan.workspace.root), name);
  }
  return access(named->path.c_str(), X_OK) == 0 ? named->path : std::string();
}

std::vector<std::string> OuterVariables(const policy::Plan& plan) {
  std::vector<std::string> variables = {"PATH=" + HostPath(plan.workspace.root)};
  for (const char* name : {"HOME", "USER", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
                           "DOCKER_HOST", "CONTAINER_HOST", "TMPDIR"}) {
    if (const char* value = getenv(name); value != nullptr) {
      variables.push_back(std::string(name) + "=" + value);
    }
  }
  return variables;
}

std::string ShellText(const std::vector<std::string>& words) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      text += word;
      continue;
    }
    text += '\'';
    for (const char letter : word) text += letter == '\'' ? "'\\''" : std::string(1, letter);
    text += '\'';
  }
  return text;
}

}  // namespace cordon::backend
