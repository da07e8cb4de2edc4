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
#include <cstdint>

namespace cordon::backend::native {
namespace {

// The maker shares the caller's memory, its thread-local `errno` too: calls without it.
long Call(long number, long first = 0, long second = 0, long third = 0) {
#if defined(__x86_64__)
  long result = number;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(first), "S"(second), "d"(third)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = first;
  register long x1 asm("x1") = second;
  register long x2 asm("x2") = third;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
#else
#error "no system calls for this processor"
#endif
}

long Address(const void* place) {
  return static_cast<long>(reinterpret_cast<uintptr_t>(place));
}

}  // namespace

// Its files are the caller's, so that the namespace's descriptor is too.
int NetNamespace::Make(void* self) {
  auto& made = *static_cast<NetNamespace*>(self);
  const auto fail = [&made](const char* call, long result) {
    made.failed_call_ = call;
    made.failed_errno_ = static_cast<int>(-result);
    return 1;
  };
  if (const long result = Call(SYS_unshare, CLONE_NEWNET); result < 0) {
    return fail("unshare(CLONE_NEWNET)", result);
  }
  const long socket_fd = Call(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC);
  if (socket_fd < 0) return fail("socket(AF_INET)", socket_fd);
  ifreq request = {};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;
  if (const long result = Call(SYS_ioctl, socket_fd, SIOCSIFFLAGS, Address(&request)); result < 0) {
    return fail("ioctl(SIOCSIFFLAGS, lo)", result);
  }
  (void)Call(SYS_close, socket_fd);
  const long fd =
      Call(SYS_openat, made.proc_.get(), Address("thread-self/ns/net"), O_RDONLY | O_CLOEXEC);
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
