#include "backend/native/net_namespace.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "backend/native/raw_call.h"
#include "base/processors.h"

namespace cordon::backend::native {

// Its files are the caller's, so that the namespace's descriptor is too.
int NetNamespace::Make(void* self) {
  auto& made = *static_cast<NetNamespace*>(self);
  const auto fail = [&made](const char* call, long result) {
    made.failed_call_ = call;
    made.failed_errno_ = static_cast<int>(-result);
    return 1;
  };
  if (const long result = RawCall(SYS_unshare, CLONE_NEWNET); result < 0) {
    return fail("unshare(CLONE_NEWNET)", result);
  }
  const long socket_fd = RawCall(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC);
  if (socket_fd < 0) return fail("socket(AF_INET)", socket_fd);
  ifreq request = {};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;
  if (const long result = RawCall(SYS_ioctl, socket_fd, SIOCSIFFLAGS, AddressOf(&request));
      result < 0) {
    return fail("ioctl(SIOCSIFFLAGS, lo)", result);
  }
  (void)RawCall(SYS_close, socket_fd);
  const long fd =
      RawCall(SYS_openat, made.proc_.get(), AddressOf("thread-self/ns/net"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail("open(/proc/thread-self/ns/net)", fd);
  made.namespace_fd_ = static_cast<int>(fd);
  return 0;
}

Status NetNamespace::Start() {
  // By its descriptor: the new root is built on that path meanwhile.
  proc_.reset(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc_.valid()) return SystemError("open(/proc)");
  maker_ = clone(Make, stack_ + kStackBytes, CLONE_VM | CLONE_FILES | SIGCHLD, this);
  if (maker_ < 0) return SystemError("clone(CLONE_VM | CLONE_FILES)");
  MoveAway(maker_, AllowedProcessors());
  return {};
}

Status NetNamespace::Join() {
  int status = 0;
  while (waitpid(maker_, &status, 0) < 0) {
    if (errno != EINTR) return SystemError("waitpid(maker of the network)");
  }
  proc_.reset();
  if (failed_call_ != nullptr) return SystemError(failed_call_, failed_errno_);
  if (status != 0 || namespace_fd_ < 0) {
    return Fail(ErrorCode::kSystem, "the maker of the network was killed");
  }
  const int result = setns(namespace_fd_, CLONE_NEWNET);
  const int error = errno;
  (void)close(namespace_fd_);
  namespace_fd_ = -1;
  if (result != 0) return SystemError("setns(CLONE_NEWNET)", error);
  return {};
}

}  // namespace cordon::backend::native
