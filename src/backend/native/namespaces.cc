#include "backend/native/namespaces.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "backend/end.h"

namespace cordon::backend::native {
namespace {

constexpr uint32_t kOrdinary = 1000;

Status Write(const char* path, const std::string& text) {
  const OwnedFd file(open(path, O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return SystemError(std::string("open(") + path + ")");
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return SystemError(std::string("write(") + path + ", \"" + text + "\")");
  }
  return {};
}

// With what the machine's owner can do about it.
std::unexpected<Error> NoNamespaces(int error) {
  constexpr const char* kCall = "clone3(CLONE_NEWUSER | CLONE_NEWNS | …)";
  std::string remedy;
  if (error == EPERM || error == EACCES) {
    remedy = kNamespacesRemedy;
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

std::string MapLine(uint32_t inner, uint32_t outer) {
  return std::to_string(inner) + " " + std::to_string(outer) + " 1";
}

}  // namespace

Result<FirstProcess> BearFirst(int group, Network network, void (*run)(const void*),
                               const void* argument) {
  int pidfd = -1;
  clone_args arguments = {};
  arguments.flags = kNamespaceFlags | CLONE_PIDFD;
  if (network == Network::kWithFirstProcess) arguments.flags |= CLONE_NEWNET;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (group >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(group);
  }
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  if (sigprocmask(SIG_SETMASK, &all, &before) != 0) return SystemError("sigprocmask");
  const auto pid = static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
  if (pid == 0) {
    run(argument);
    _exit(kOwnFailure);
  }
  const int error = errno;
  (void)sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return NoNamespaces(error);
  return FirstProcess{pid, OwnedFd(pidfd)};
}

Identity IdentityOf(uid_t uid, gid_t gid) {
  return {uid == 0 ? kOrdinary : uid, gid == 0 ? kOrdinary : gid};
}

Status MapIdentity(const Identity& identity, uid_t outer_uid, gid_t outer_gid) {
  // Since Linux 3.19 whoever has no CAP_SETGID outside must give setgroups up first.
  CORDON_TRY(Write("/proc/self/setgroups", "deny"));
  CORDON_TRY(Write("/proc/self/uid_map", MapLine(identity.uid, outer_uid)));
  return Write("/proc/self/gid_map", MapLine(identity.gid, outer_gid));
}

Status RaiseLoopback() {
  const OwnedFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_fd.valid()) return SystemError("socket(AF_INET)");
  ifreq request = {};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;
  if (ioctl(socket_fd.get(), SIOCSIFFLAGS, &request) != 0) {
    return SystemError("ioctl(SIOCSIFFLAGS, lo)");
  }
  return {};
}

Status HideGroups() {
  if (unshare(CLONE_NEWCGROUP) != 0) return SystemError("unshare(CLONE_NEWCGROUP)");
  return {};
}

Status NameHost() {
  if (sethostname("cordon", 6) != 0) return SystemError("sethostname");
  return {};
}

Result<Doors> OpenDoors(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/ns/";
  Doors doors = {OwnedFd(open((folder + "user").c_str(), O_RDONLY | O_CLOEXEC)),
                 OwnedFd(open((folder + "net").c_str(), O_RDONLY | O_CLOEXEC))};
  if (!doors.user.valid() || !doors.net.valid()) return SystemError("open(" + folder + "…)");
  return doors;
}

}  // namespace cordon::backend::native
