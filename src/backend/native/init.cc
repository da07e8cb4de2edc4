#include "backend/native/init.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "backend/end.h"
#include "backend/native/hand_over.h"
#include "backend/native/landlock.h"
#include "backend/native/namespaces.h"
#include "backend/native/net_namespace.h"
#include "backend/native/program.h"
#include "backend/native/root.h"
#include "backend/native/system_calls.h"
#include "backend/native/terminal.h"
#include "net/namespace_setup.h"

namespace cordon::backend::native {
namespace {

constexpr int kFirstSecret = 3;
constexpr int kAboveAll = 64;

class Init {
 public:
  explicit Init(const InitRequest& request)
      : request_(request),
        plan_(request.plan),
        identity_(IdentityOf(request.outer_uid, request.outer_gid)) {}

  // The description of the wall. Each step fails closed: the process ends and nothing ran.
  Status Prepare() {
    CORDON_TRY(BindToKeeper());
    CORDON_TRY(MapIdentity(identity_, request_.outer_uid, request_.outer_gid));
    if (request_.waits) CORDON_TRY(WaitForLetGo(request_.hand_over));
    CORDON_TRY(TakeSignals());
    CORDON_TRY(request_.groups.Enter());
    CORDON_TRY(TakeStreams());
    CORDON_TRY(StartNetwork());
    CORDON_TRY(HideGroups());
    CORDON_TRY(ForgetArguments());
    CORDON_TRY(LeaveGroup());
    CORDON_TRY(NameHost());
    CORDON_TRY(MakeRoot());
    CORDON_TRY(EnterNetwork());
    CORDON_TRY(HandOutNetwork());
    CORDON_TRY(EnterDirectory());
    CORDON_TRY(SetResourceLimits(plan_.limits, request_.alone));
    CORDON_TRY(DropCapabilities());
    CORDON_TRY(RestrictFiles(plan_));
    CORDON_TRY(CloseToTheCommand());
    return LoadSystemCallFilter();
  }

  // The exit status of the command, or of what was to run before it.
  int Run();

 private:
  [[nodiscard]] Status BindToKeeper() const;
  static Status TakeSignals();
  static Status ForgetArguments();
  static Status LeaveGroup();
  [[nodiscard]] Status TakeStreams();
  [[nodiscard]] std::optional<uint64_t> MemoryForFiles() const;
  Status StartNetwork();
  Status MakeRoot();
  Status EnterNetwork();
  Status HandOutNetwork();
  [[nodiscard]] Status EnterDirectory() const;
  static Status CloseToTheCommand();
  [[nodiscard]] std::vector<std::string> Environment() const;
  [[nodiscard]] Program Describe(const std::string& path, std::vector<std::string> arguments) const;
  int RunBefore();
  // As sigwaitinfo(2), and may give nothing.
  [[nodiscard]] int WaitForSignal(const sigset_t& signals) const;
  // Until the running program has ended.
  [[nodiscard]] int Serve() const;

  const InitRequest& request_;
  const policy::Plan& plan_;
  const Identity identity_;
  NetNamespace network_;
  OwnedFd hand_over_;
  OwnedFd gateway_;
  OwnedFd held_terminal_;
  std::string terminal_;  // the command's, by its path inside
  pid_t running_ = -1;
};

Status Init::BindToKeeper() const {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return SystemError("prctl(PR_SET_PDEATHSIG)");
  pollfd keeper = {request_.keeper, POLLIN, 0};
  // It may have gone before that.
  if (poll(&keeper, 1, 0) != 0) return Fail(ErrorCode::kSystem, "the keeper has gone");
  return {};
}

// What is handed on waits from the first moment; everything else is nobody's.
Status Init::TakeSignals() {
  sigset_t signals = ForwardedSignals();
  for (const int number : {SIGCHLD, SIGPIPE}) sigaddset(&signals, number);
  if (sigprocmask(SIG_SETMASK, &signals, nullptr) != 0) return SystemError("sigprocmask");
  return {};
}

// Whoever sees a process may read its command line, and Cordon's holds what the caller wrote. The
// kernel shows what is in memory there.
Status Init::ForgetArguments() {
  // Arguments and variables are one piece of memory; the program's own path comes after them.
  char* begin = program_invocation_name;
  char* end = reinterpret_cast<char*>(getauxval(AT_EXECFN));
  if (begin == nullptr || end == nullptr || begin > end) {
    return Fail(ErrorCode::kSystem, "getauxval(AT_EXECFN): arguments are not where they should be");
  }
  memset(begin, 0, static_cast<size_t>(end - begin));
  return {};
}

// No signals that are meant for the keeper's process group. A session of its own is the command's
// to have, and only where there is a terminal to be kept from: Linux gives each session a share of
// the processor of its own, and on a busy machine the new one waits for its turn.
Status Init::LeaveGroup() {
  if (setpgid(0, 0) != 0) return SystemError("setpgid");
  umask(0);
  return {};
}

Status Init::TakeStreams() {
  if (request_.output >= 0 && dup2(request_.output, STDOUT_FILENO) < 0) return SystemError("dup2");
  if (request_.error_output >= 0 && dup2(request_.error_output, STDERR_FILENO) < 0) {
    return SystemError("dup2");
  }
  // Moved out of the way first, so that none is overwritten before it has its number.
  std::vector<OwnedFd> moved;
  for (const OwnedFd& secret : request_.secrets) {
    moved.emplace_back(fcntl(secret.get(), F_DUPFD_CLOEXEC, kAboveAll));
    if (!moved.back().valid()) return SystemError("fcntl(F_DUPFD_CLOEXEC)");
  }
  // After them those that are needed until the wall stands.
  const size_t secrets = moved.size();
  for (const int fd : {request_.hand_over, request_.gateway}) {
    if (fd < 0) continue;
    moved.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, kAboveAll));
    if (!moved.back().valid()) return SystemError("fcntl(F_DUPFD_CLOEXEC)");
  }
  for (size_t i = 0; i < moved.size(); ++i) {
    const int flags = i < secrets ? 0 : O_CLOEXEC;
    if (dup3(moved[i].get(), kFirstSecret + static_cast<int>(i), flags) < 0) {
      return SystemError("dup3");
    }
  }
  int own = kFirstSecret + static_cast<int>(secrets);
  const int end = kFirstSecret + static_cast<int>(moved.size());
  if (request_.hand_over >= 0) hand_over_.reset(own++);
  if (request_.gateway >= 0) gateway_.reset(own);
  if (syscall(SYS_close_range, end, ~0U, 0) != 0) return SystemError("close_range");
  // What was moved is closed.
  for (OwnedFd& fd : moved) (void)fd.release();
  return {};
}

// A control group counts files in memory as memory. Without one nobody does.
std::optional<uint64_t> Init::MemoryForFiles() const {
  std::optional<uint64_t> bytes = plan_.limits.disk_bytes;
  if (!request_.groups.holds_memory() && plan_.limits.memory_bytes) {
    bytes = std::min(bytes.value_or(*plan_.limits.memory_bytes), *plan_.limits.memory_bytes);
  }
  return bytes;
}

// Beside the root: both take as long.
Status Init::StartNetwork() {
  return request_.network == Network::kWithFirstProcess ? RaiseLoopback() : network_.Start();
}

Status Init::EnterNetwork() {
  return request_.network == Network::kWithFirstProcess ? Status() : network_.Join();
}

Status Init::MakeRoot() {
  Result<OwnedFd> staged = BuildRoot({.plan = plan_,
                                      .identity = identity_,
                                      .memory_bytes = MemoryForFiles(),
                                      .work_folder = request_.work_folder,
                                      .workspace_view = request_.workspace_view,
                                      .prepared = request_.prepared});
  if (!staged) return std::unexpected(staged.error());
  if (staged->valid()) {
    CORDON_TRY(Send(hand_over_.get(), Handed::kStagedFolder, staged->get()));
  }
  if (request_.terminal == TerminalOf::kCommand) {
    const Result<NewTerminal> made = MakeTerminal();
    if (!made) return std::unexpected(made.error());
    // Here, so that the command cannot ask before it is there.
    CopyWindowSize(STDIN_FILENO, made->main.get());
    CORDON_TRY(Send(hand_over_.get(), Handed::kTerminal, made->main.get()));
    terminal_ = made->path;
    // Until the command has it: a terminal that nobody holds has ended for the keeper.
    held_terminal_.reset(open(terminal_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!held_terminal_.valid()) return SystemError("open(" + terminal_ + ")");
  }
  hand_over_.reset();
  return {};
}

// Whoever holds the sockets is the network; without them loopback is all there is.
Status Init::HandOutNetwork() {
  if (!gateway_.valid()) return {};
  const Result<net::NamespaceSockets> sockets = net::SetUpNamespace();
  if (!sockets) {
    Error error = sockets.error();
    error.code = ErrorCode::kUnsupported;
    error.message =
        "a network behind this wall needs a packet filter (kernel options NF_TABLES_INET, "
        "NFT_TPROXY): " +
        error.message;
    return std::unexpected(error);
  }
  CORDON_TRY(net::SendSockets(gateway_.get(), *sockets));
  gateway_.reset();
  return {};
}

Status Init::EnterDirectory() const {
  if (chdir(plan_.directory.c_str()) != 0) return SystemError("chdir(" + plan_.directory + ")");
  return {};
}

// The command is the same user: it must not look into the first process, which came from outside.
Status Init::CloseToTheCommand() {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return SystemError("prctl(PR_SET_DUMPABLE)");
  umask(022);
  return {};
}

std::vector<std::string> Init::Environment() const {
  std::vector<std::string> variables;
  variables.reserve(plan_.environment.size() + plan_.secrets.size());
  for (const policy::Variable& variable : plan_.environment) {
    variables.push_back(variable.name + "=" + variable.value);
  }
  for (size_t i = 0; i < plan_.secrets.size(); ++i) {
    variables.push_back(plan_.secrets[i].variable + "=" + std::to_string(kFirstSecret + i));
  }
  return variables;
}

Program Init::Describe(const std::string& path, std::vector<std::string> arguments) const {
  return {.path = path,
          .arguments = std::move(arguments),
          .variables = Environment(),
          .session = request_.session,
          .terminal = terminal_,
          .has_error_stream = request_.error_output >= 0};
}

// What the plan says is done first, one after the other.
int Init::RunBefore() {
  const auto search = std::ranges::find(plan_.environment, "PATH", &policy::Variable::name);
  for (const policy::PreRun& command : plan_.pre_run) {
    if (command.on_host) continue;
    const std::string path =
        FindIn(search == plan_.environment.end() ? "" : search->value, command.argv.front());
    const Started started = path.empty() ? Started{0, ENOENT} : Start(Describe(path, command.argv));
    running_ = started.pid;
    const int code = started.error != 0 ? kNoProgram : Serve();
    if (code == 0) continue;
    (void)snprintf(request_.progress->before_text, sizeof request_.progress->before_text,
                   "pre-run command '%s' failed with %d%s%s", command.argv.front().c_str(), code,
                   started.error != 0 ? ": " : "",
                   started.error != 0 ? strerror(started.error) : "");
    return code;
  }
  return 0;
}

int Init::Run() {
  request_.progress->started.store(true);
  if (const int code = RunBefore(); code != 0) return code;
  const Started started = Start(Describe(plan_.program, plan_.argv));
  held_terminal_.reset();
  request_.progress->start_errno = started.error;
  if (started.error != 0) return 125;
  running_ = started.pid;
  return Serve();
}

// Segments are of the namespace, and nobody outside sees those that nobody has attached.
int Init::WaitForSignal(const sigset_t& signals) const {
  if (request_.alone == Alone::kNo || !plan_.limits.memory_bytes) {
    return sigwaitinfo(&signals, nullptr);
  }
  constexpr timespec kSampleTime = {0, 50'000'000};
  const int number = sigtimedwait(&signals, nullptr, &kSampleTime);
  shm_info info = {};
  if (shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&info)) >= 0) {
    request_.progress->segments_bytes = info.shm_rss * static_cast<uint64_t>(getpagesize());
  }
  return number;
}

int Init::Serve() const {
  sigset_t signals = ForwardedSignals();
  sigaddset(&signals, SIGCHLD);
  for (;;) {
    int status = 0;
    pid_t ended = 0;
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
      if (ended != running_) continue;
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    const int number = WaitForSignal(signals);
    // To the whole group, as a terminal does.
    if (number > 0 && number != SIGCHLD) (void)kill(-running_, number);
  }
}

void Report(Progress* progress, const Error& error) {
  progress->failed_errno = error.system_errno;
  progress->failed_code = static_cast<int>(error.code);
  (void)snprintf(progress->failed_text, sizeof progress->failed_text, "%s", error.message.c_str());
}

}  // namespace

sigset_t ForwardedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH}) {
    sigaddset(&signals, number);
  }
  return signals;
}

void RunInit(const InitRequest& request) {
  Init init(request);
  if (const Status prepared = init.Prepare(); !prepared) {
    Report(request.progress, prepared.error());
    _exit(125);
  }
  const int code = init.Run();
  request.progress->ended_code = code;
  request.progress->ended.store(true);
  // The keeper hears of it by its pipes, and writes it down while the kernel takes this process
  // apart.
  (void)syscall(SYS_close_range, 0, ~0U, 0);
  _exit(code);
}

}  // namespace cordon::backend::native
