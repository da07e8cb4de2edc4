#include "backend/native/init.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "backend/native/landlock.h"
#include "backend/native/namespaces.h"
#include "backend/native/root.h"
#include "backend/native/system_calls.h"

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
    CORDON_TRY(request_.groups.Enter());
    CORDON_TRY(HideGroups());
    CORDON_TRY(MapIdentity(identity_, request_.outer_uid, request_.outer_gid));
    CORDON_TRY(ForgetArguments());
    CORDON_TRY(LeaveSession());
    CORDON_TRY(TakeStreams());
    CORDON_TRY(NameHost());
    CORDON_TRY(BringLoopbackUp());
    CORDON_TRY(MakeRoot());
    CORDON_TRY(EnterDirectory());
    CORDON_TRY(SetResourceLimits(plan_.limits, request_.alone));
    CORDON_TRY(DropCapabilities());
    CORDON_TRY(RestrictFiles(plan_));
    CORDON_TRY(CloseToTheCommand());
    return LoadSystemCallFilter();
  }

  void Start();
  int Serve() const;

 private:
  [[nodiscard]] Status BindToKeeper() const;
  static Status ForgetArguments();
  static Status LeaveSession();
  [[nodiscard]] Status TakeStreams() const;
  [[nodiscard]] std::optional<uint64_t> MemoryForFiles() const;
  Status MakeRoot();
  [[nodiscard]] Status EnterDirectory() const;
  static Status CloseToTheCommand();
  [[nodiscard]] std::vector<std::string> Environment() const;

  const InitRequest& request_;
  const policy::Plan& plan_;
  const Identity identity_;
  pid_t command_ = -1;
};

Status Init::BindToKeeper() const {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return SystemError("prctl(PR_SET_PDEATHSIG)");
  pollfd keeper = {request_.keeper_alive, POLLIN, 0};
  // It may have gone before that.
  if (poll(&keeper, 1, 0) != 0) return Fail(ErrorCode::kSystem, "the keeper has gone");
  return {};
}

// Whoever sees a process may read its command line, and Cordon's holds what the caller wrote. The
// kernel shows what is in memory there.
Status Init::ForgetArguments() {
  std::array<char, 2048> text;
  const OwnedFd file(open("/proc/self/stat", O_RDONLY | O_CLOEXEC));
  const ssize_t size = file.valid() ? read(file.get(), text.data(), text.size() - 1) : -1;
  if (size <= 0) return SystemError("read(/proc/self/stat)");
  text[static_cast<size_t>(size)] = 0;
  const char* at = strrchr(text.data(), ')');
  std::array<uint64_t, 4> borders = {};
  // proc(5): field 2 ends with the parenthesis; arg_start, arg_end, env_start, env_end are 48
  // to 51.
  for (int field = 2; at != nullptr && field < 51; ++field) {
    at = strchr(at + 1, ' ');
    if (at != nullptr && field + 1 >= 48) {
      borders[static_cast<size_t>(field + 1 - 48)] = strtoull(at, nullptr, 10);
    }
  }
  if (at == nullptr || borders[0] == 0 || borders[1] < borders[0] || borders[3] < borders[2]) {
    return Fail(ErrorCode::kSystem, "/proc/self/stat says nothing of the arguments");
  }
  memset(reinterpret_cast<void*>(borders[0]), 0, borders[1] - borders[0]);
  memset(reinterpret_cast<void*>(borders[2]), 0, borders[3] - borders[2]);
  return {};
}

// No terminal, and no signals that are meant for the keeper's process group.
Status Init::LeaveSession() {
  if (setsid() < 0) return SystemError("setsid");
  umask(0);
  return {};
}

Status Init::TakeStreams() const {
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
  for (size_t i = 0; i < moved.size(); ++i) {
    if (dup2(moved[i].get(), kFirstSecret + static_cast<int>(i)) < 0) return SystemError("dup2");
  }
  const unsigned first = kFirstSecret + static_cast<unsigned>(moved.size());
  if (syscall(SYS_close_range, first, ~0U, 0) != 0) return SystemError("close_range");
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

Status Init::MakeRoot() {
  Result<OwnedFd> staged = BuildRoot({.plan = plan_,
                                      .identity = identity_,
                                      .memory_bytes = MemoryForFiles(),
                                      .work_folder = request_.work_folder});
  if (!staged) return std::unexpected(staged.error());
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

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

void Init::Start() {
  std::vector<std::string> arguments = plan_.argv;
  std::vector<std::string> variables = Environment();
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  request_.progress->start_errno =
      posix_spawn(&command_, plan_.program.c_str(), nullptr, &attributes,
                  Pointers(arguments).data(), Pointers(variables).data());
  request_.progress->started.store(true);
}

int Init::Serve() const {
  sigset_t signals = ForwardedSignals();
  sigaddset(&signals, SIGCHLD);
  for (;;) {
    int status = 0;
    pid_t ended = 0;
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
      if (ended != command_) continue;
      return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    const int number = sigwaitinfo(&signals, nullptr);
    // To the whole group, as a terminal does.
    if (number > 0 && number != SIGCHLD) (void)kill(-command_, number);
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
  init.Start();
  if (request.progress->start_errno != 0) _exit(125);
  _exit(init.Serve());
}

}  // namespace cordon::backend::native
