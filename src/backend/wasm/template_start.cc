#include "backend/wasm/template_start.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>

#include "backend/wasm/lockdown.h"

namespace cordon::backend {
namespace {

constexpr size_t kStackBytes = 64 * 1024;
// Where sources are moved first, so that none is overwritten before it was given its number.
constexpr int kAboveAll = 64;

int FailWith(TemplateStart& start, const char* call) {
  start.failed_errno = errno;
  start.failed_call = call;
  return 125;
}

// An empty file system, unwritable, instead of the host's.
bool EnterEmptyRoot() {
  // /proc exists wherever this program can run. Whoever has no user in the namespace is no
  // superuser to the new root: he may search it, and it has nothing.
  return mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
               "size=4k,mode=0111") == 0 &&
         chdir("/proc") == 0 && syscall(SYS_pivot_root, ".", ".") == 0 &&
         umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
}

bool EnterThoseOfInit(const TemplateStart& start) {
  char are_made = 0;
  while (recv(start.init, &are_made, 1, 0) < 0 && errno == EINTR) {
  }
  return are_made == 1 && setns(start.init_pidfd, kMadeBeside) == 0;
}

void TakeNamespaces(TemplateStart& start) {
  Isolation& isolation = start.isolation;
  isolation.mount_namespace = unshare(CLONE_NEWNS) == 0 && EnterEmptyRoot();
  if (EnterThoseOfInit(start)) {
    isolation.net_namespace = isolation.ipc_namespace = isolation.uts_namespace = true;
    return;
  }
  isolation.net_namespace = unshare(CLONE_NEWNET) == 0;
  isolation.ipc_namespace = unshare(CLONE_NEWIPC) == 0;
  isolation.uts_namespace = unshare(CLONE_NEWUTS) == 0;
}

void ResetSignals() {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    (void)sigaction(number, &action, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool GiveDescriptors(const TemplateStart& start) {
  std::array<int, 6> moved = {};
  for (size_t i = 0; i < moved.size(); ++i) {
    moved[i] = start.fds[i] < 0 ? -1 : fcntl(start.fds[i], F_DUPFD, kAboveAll);
    if (start.fds[i] >= 0 && moved[i] < 0) return false;
  }
  const int program = fcntl(start.template_fd, F_DUPFD, kAboveAll);
  if (program < 0 || dup3(program, kTemplateFdEnd, O_CLOEXEC) < 0) return false;
  for (size_t i = 0; i < moved.size(); ++i) {
    const int number = kControlFd + static_cast<int>(i);
    if (moved[i] >= 0 && dup2(moved[i], number) < 0) return false;
    if (moved[i] < 0) close(number);
  }
  return syscall(SYS_close_range, 0, 2, 0) == 0 &&
         syscall(SYS_close_range, kTemplateFdEnd + 1, ~0U, 0) == 0;
}

int ExecuteTemplate(void* argument) {
  auto& start = *static_cast<TemplateStart*>(argument);
  if (start.init_pidfd >= 0) TakeNamespaces(start);
  ResetSignals();
  if (start.group == TemplateGroup::kOwnSession) (void)setsid();
  if (start.group == TemplateGroup::kOwnGroup && setpgid(0, 0) != 0) {
    return FailWith(start, "setpgid(0, 0)");
  }
  if (!GiveDescriptors(start)) return FailWith(start, "dup2");
  char* none[] = {nullptr};
  syscall(SYS_execveat, kTemplateFdEnd, "", none, none, AT_EMPTY_PATH);
  return FailWith(start, "execveat(cordon-template)");
}

int EnterAndClone(void* argument) {
  auto& start = *static_cast<TemplateStart*>(argument);
  if (start.init_pidfd >= 0) {
    const int user = start.isolation.user_namespace ? CLONE_NEWUSER : 0;
    if (setns(start.init_pidfd, user | CLONE_NEWPID) != 0) return FailWith(start, "setns(init)");
  }
  const std::unique_ptr<std::byte[]> stack(new std::byte[kStackBytes]);
  start.pid = clone(ExecuteTemplate, stack.get() + kStackBytes,
                    CLONE_VM | CLONE_VFORK | CLONE_PARENT | SIGCHLD, argument);
  if (start.pid < 0) return FailWith(start, "clone(CLONE_PARENT)");
  return 0;
}

}  // namespace

Result<pid_t> TemplateStart::Run() {
  const std::unique_ptr<std::byte[]> stack(new std::byte[kStackBytes]);
  const pid_t helper =
      clone(EnterAndClone, stack.get() + kStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD, this);
  if (helper < 0) return SystemError("clone(CLONE_VFORK)");
  int status = 0;
  while (waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  if (failed_call != nullptr) {
    if (pid > 0) waitpid(pid, &status, 0);
    return SystemError(failed_call, failed_errno);
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || pid <= 0) {
    return Fail(ErrorCode::kSystem, "the process that starts the template was ended");
  }
  return pid;
}

bool DropAllCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  return syscall(SYS_capset, &header, none) == 0;
}

}  // namespace cordon::backend
