#include "backend/wasm/family.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "arena/platform.h"
#include "backend/wasm/filter.h"
#include "backend/wasm/template_start.h"
#include "base/processors.h"

namespace cordon::backend {
namespace {

void BecomeUserOrEnd(uint32_t uid) {
  if (uid != 0 &&
      (syscall(SYS_setgroups, 0, nullptr) != 0 || syscall(SYS_setresgid, uid, uid, uid) != 0 ||
       syscall(SYS_setresuid, uid, uid, uid) != 0)) {
    _Exit(125);
  }
}

// Keeps nothing but the control page.
[[noreturn]] void LockInAndSendKicks(control::Control& page) {
  if (syscall(SYS_close_range, 0, ~0U, 0) != 0) _Exit(125);
  if (!DropAllCapabilities() || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !LoadFilter(FamilyInitRules())) {
    _Exit(125);
  }
  SendKicks(page, KickScope::kNamespace);
  _Exit(0);
}

// The kernel takes longer for them than for everything that the keeper does until the template
// needs them: he is told by a byte, which is 1 where they were had.
void MakeNamespaces(int keeper, const cpu_set_t& allowed) {
  const char are_made = unshare(kMadeBeside) == 0 ? 1 : 0;
  MoveAnywhere(allowed);
  if (send(keeper, &are_made, 1, MSG_NOSIGNAL) != 1) _Exit(125);
}

// The init is a copy of the keeper.
[[noreturn]] void RunInit(control::Control& page, uint32_t uid, int keeper_alive,
                          const cpu_set_t& allowed) {
  MakeNamespaces(keeper_alive, allowed);
  BecomeUserOrEnd(uid);
  // After the change of user, which clears it.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) _Exit(125);
  // A terminal's Ctrl-C is for the keeper, who tells the guests; an init without handlers is not
  // ended by signals of its own namespace, but by those of its parent's.
  if (setsid() < 0) _Exit(125);
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE}) {
    (void)signal(number, SIG_IGN);
  }
  (void)signal(SIGCHLD, SIG_DFL);
  // One byte comes when the template was started: a keeper who is not root may enter the namespaces
  // of a process only while that can be dumped. None comes when the keeper is gone.
  char started = 0;
  while (read(keeper_alive, &started, 1) < 0 && errno == EINTR) {
  }
  if (started == 0) _Exit(0);
  LockInAndSendKicks(page);
}

OwnedFd OpenNamespace(pid_t pid, const char* name) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, name);
  return OwnedFd(open(path, O_RDONLY | O_CLOEXEC));
}

struct Attempt {
  unsigned long flags;
  bool user_namespace;
};

bool IsOwnChild(uint32_t pid) {
  siginfo_t info = {};
  return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

}  // namespace

std::string Isolation::ToString() const {
  std::string text;
  const auto add = [&text](bool is_there, const char* name) {
    if (!is_there) return;
    if (!text.empty()) text += ' ';
    text += name;
  };
  add(pid_namespace, "pid");
  add(user_namespace, "user");
  add(mount_namespace, "mount");
  add(net_namespace, "net");
  add(ipc_namespace, "ipc");
  add(uts_namespace, "uts");
  return text.empty() ? "none" : text;
}

Family::Family(Family&& other) noexcept
    : init_(std::exchange(other.init_, -1)),
      init_pidfd_(std::move(other.init_pidfd_)),
      user_namespace_(std::move(other.user_namespace_)),
      pid_namespace_(std::move(other.pid_namespace_)),
      uid_(other.uid_),
      alive_(std::move(other.alive_)),
      isolation_(other.isolation_) {}

Family& Family::operator=(Family&& other) noexcept {
  std::swap(init_, other.init_);
  std::swap(init_pidfd_, other.init_pidfd_);
  std::swap(user_namespace_, other.user_namespace_);
  std::swap(pid_namespace_, other.pid_namespace_);
  std::swap(uid_, other.uid_);
  std::swap(alive_, other.alive_);
  std::swap(isolation_, other.isolation_);
  return *this;
}

Family::~Family() {
  Kill();
}

Result<Family> Family::Start(const MemoryFiles& files, uint32_t uid, Namespaces namespaces) {
  Family family;
  if (namespaces == Namespaces::kNone) return family;
  int alive[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, alive) != 0) {
    return SystemError("socketpair");
  }
  const OwnedFd reader(alive[0]);
  OwnedFd writer(alive[1]);
  // Root has no need of a user namespace and others cannot do without one.
  const cpu_set_t allowed = AllowedProcessors();
  constexpr Attempt kAttempts[] = {{CLONE_NEWPID, false}, {CLONE_NEWUSER | CLONE_NEWPID, true}};
  for (const Attempt& attempt : kAttempts) {
    int pidfd = -1;
    // Not clone(3): a copy on its own stack, as fork, but without the handlers of a C library that
    // would believe in process ids of the outer namespace.
    const auto pid = static_cast<pid_t>(
        syscall(SYS_clone, attempt.flags | CLONE_PIDFD | SIGCHLD, nullptr, &pidfd, nullptr, 0));
    if (pid == 0) {
      writer.reset();
      RunInit(files.page(), attempt.user_namespace ? 0 : uid, reader.get(), allowed);
    }
    if (pid < 0) continue;
    MoveAway(pid, allowed);
    family.init_ = pid;
    family.init_pidfd_.reset(pidfd);
    family.uid_ = attempt.user_namespace ? 0 : uid;
    family.isolation_.pid_namespace = true;
    family.isolation_.user_namespace = attempt.user_namespace;
    family.alive_ = std::move(writer);
    return family;
  }
  return family;
}

Result<pid_t> Family::StartTemplate(const MemoryFiles& files, int template_fd, int userland_fd,
                                    int listener_socket) {
  if (listener_socket >= 0) {
    user_namespace_ = OpenNamespace(init_, "user");
    pid_namespace_ = OpenNamespace(init_, "pid");
  }
  TemplateStart start;
  start.group = listener_socket >= 0 ? TemplateGroup::kOwnGroup : TemplateGroup::kOwnSession;
  start.template_fd = template_fd;
  start.fds = {files.control.get(), files.objects.get(),     files.blocks.get(),
               userland_fd,         files.code_window.get(), listener_socket};
  start.init_pidfd = init_pidfd_.get();
  start.init = alive_.get();
  start.isolation = isolation_;
  Result<pid_t> pid = start.Run();
  if (pid) isolation_ = start.isolation;
  // An init that died meanwhile is seen by whoever reaps it.
  constexpr char kStarted = 1;
  if (pid && init_ > 0) (void)send(alive_.get(), &kStarted, 1, MSG_NOSIGNAL);
  return pid;
}

Result<pid_t> Family::StartInside(const std::function<void()>& serve) const {
  int pids[2];
  if (pipe2(pids, O_CLOEXEC) != 0) return SystemError("pipe2");
  const OwnedFd reader(pids[0]);
  OwnedFd writer(pids[1]);
  // Who enters a PID namespace is not in it, but its children are.
  const pid_t helper = fork();
  if (helper < 0) return SystemError("fork");
  if (helper == 0) {
    if (isolation_.user_namespace && setns(user_namespace_.get(), CLONE_NEWUSER) != 0) _Exit(1);
    if (setns(pid_namespace_.get(), CLONE_NEWPID) != 0) _Exit(1);
    const auto pid = static_cast<pid_t>(
        syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, 0));
    if (pid == 0) {
      BecomeUserOrEnd(uid_);
      if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) _Exit(125);
      serve();
      _Exit(125);
    }
    _Exit(write(writer.get(), &pid, sizeof pid) == sizeof pid && pid > 0 ? 0 : 1);
  }
  writer.reset();
  int status = 0;
  while (waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  pid_t pid = -1;
  if (status != 0 || read(reader.get(), &pid, sizeof pid) != sizeof pid || pid <= 0) {
    return Fail(ErrorCode::kSystem, "no process starts in the PID namespace");
  }
  return pid;
}

void Family::Kill() {
  if (init_ > 0) {
    // The kernel then kills every process of the namespace. The init can be reaped only after all
    // of them, and they are children of this process, not of the init.
    (void)kill(init_, SIGKILL);
    while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
    init_ = -1;
  }
  init_pidfd_.reset();
  alive_.reset();
}

void SendKicksOnce(control::Control& page, KickScope scope) {
  for (control::Slot& slot : page.slots) {
    if (slot.kick.load(std::memory_order_relaxed) == 0 || slot.kick.exchange(0) == 0) continue;
    const uint32_t pid = slot.host_pid.load();
    const uint32_t thread = slot.host_tid.load();
    if (slot.state.load() != control::Slot::kLive || pid <= 1 || thread <= 1) continue;
    if (scope == KickScope::kOwnChildren && !IsOwnChild(pid)) continue;
    syscall(SYS_tgkill, pid, thread, control::kKickSignal);
  }
}

void SendKicks(control::Control& page, KickScope scope) {
  for (;;) {
    const uint32_t bell = page.kicker_bell.load();
    SendKicksOnce(page, scope);
    platform::WaitOnWord(&page.kicker_bell, bell, platform::kNever);
    if (scope == KickScope::kNamespace) {
      while (syscall(SYS_wait4, -1, nullptr, WNOHANG, nullptr) > 0) {
      }
    } else if (page.kicker_bell.load() == bell) {
      // Woken without a new number: the keeper ends.
      return;
    }
  }
}

}  // namespace cordon::backend
