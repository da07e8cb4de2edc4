#include "backend/native/birth.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

#include "backend/native/namespaces.h"
#include "backend/native/raw_call.h"
#include "backend/native/watch.h"

namespace cordon::backend::native {
namespace {

constexpr const char* kUnshare = "unshare(CLONE_NEWUSER | CLONE_NEWNET | …)";
constexpr size_t kGuardBytes = 4096;
// Of a set of signals, as the kernel has it.
constexpr size_t kSignalSetBytes = 8;

// With what its owner can do about it.
Error NoNamespaces(const char* call, int error) {
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
    return SystemError(call, error).error();
  }
  return Fail(ErrorCode::kUnsupported, call + remedy).error();
}

// One text to one file of /proc.
int WriteFile(const char* path, const char* text) {
  const long fd = RawCall(SYS_openat, AT_FDCWD, AddressOf(path), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return static_cast<int>(-fd);
  long size = 0;
  while (text[size] != 0) ++size;
  const long written = RawCall(SYS_write, fd, AddressOf(text), size);
  (void)RawCall(SYS_close, fd);
  if (written == size) return 0;
  return written < 0 ? static_cast<int>(-written) : EIO;
}

}  // namespace

void Birth::Start() {
  if (maker_ > 0) return;
  // What the maker opens for a moment must not get the number of a stream that is closed.
  if (const Status streams = CommandWatch::CheckStreams(); !streams) {
    start_error_ = streams.error();
    return;
  }
  const Identity identity = IdentityOf(getuid(), getgid());
  (void)snprintf(user_map_, sizeof user_map_, "%u %u 1", identity.uid, getuid());
  (void)snprintf(group_map_, sizeof group_map_, "%u %u 1", identity.gid, getgid());
  stack_ = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (stack_ == MAP_FAILED) {
    stack_ = nullptr;
    start_error_ = SystemError("mmap(MAP_STACK)").error();
    return;
  }
  if (mprotect(stack_, kGuardBytes, PROT_NONE) != 0) {
    start_error_ = SystemError("mprotect(PROT_NONE)").error();
    return;
  }
  caller_ = getpid();
  maker_ = clone(Make, static_cast<std::byte*>(stack_) + kStackBytes,
                 CLONE_VM | CLONE_FILES | SIGCHLD, this);
  if (maker_ < 0) start_error_ = SystemError("clone(CLONE_VM | CLONE_FILES)").error();
}

void Birth::Release() {
  if (maker_ > 0) (void)kill(maker_, SIGKILL);
}

void Birth::End() {
  Release();
  while (maker_ > 0 && waitpid(maker_, nullptr, 0) < 0 && errno == EINTR) {
  }
  maker_ = -1;
}

Birth::~Birth() {
  End();
  for (const int door : {user_door_, net_door_}) {
    if (door >= 0) (void)close(door);
  }
  if (stack_ != nullptr) (void)munmap(stack_, kStackBytes);
}

// Whatever was blocked: the first process decides for itself what it waits for.
int Birth::Make(void* self) {
  Birth& birth = *static_cast<Birth*>(self);
  const uint64_t all = ~uint64_t{0};
  (void)RawCall(SYS_rt_sigprocmask, SIG_SETMASK, AddressOf(&all), 0, kSignalSetBytes);
  birth.failed_errno_ = birth.MakeNamespaces();
  // Unless somebody is wanted already.
  uint32_t making = kMaking;
  if (birth.failed_errno_ != 0) {
    birth.state_.store(kFailed);
  } else {
    birth.state_.compare_exchange_strong(making, kMade);
  }
  (void)RawCall(SYS_futex, AddressOf(&birth.state_), FUTEX_WAKE_PRIVATE, 1);
  if (birth.failed_errno_ != 0) return 1;
  birth.WaitHere(kMade);
  birth.failed_errno_ = birth.BearFirst();
  const State born = birth.failed_errno_ == 0 ? kBorn : kFailed;
  birth.state_.store(born, std::memory_order_release);
  (void)RawCall(SYS_futex, AddressOf(&birth.state_), FUTEX_WAKE_PRIVATE, 1);
  // What it holds goes with it, when the caller ends it or ends.
  if (born == kBorn) birth.WaitHere(kBorn);
  return 1;
}

void Birth::WaitHere(State state) {
  while (state_.load(std::memory_order_acquire) == state) {
    (void)RawCall(SYS_futex, AddressOf(&state_), FUTEX_WAIT_PRIVATE, state);
  }
}

int Birth::MakeNamespaces() {
  call_ = kUnshare;
  const long made = RawCall(SYS_unshare, static_cast<long>(kNamespaceFlags));
  if (made < 0) return static_cast<int>(-made);
  if (const int error = WriteMaps(); error != 0) return error;
  if (const int error = RaiseLoopback(); error != 0) return error;
  if (const int error = OpenNamespaces(); error != 0) return error;
  // A change of rights may take this back, so it comes after it.
  call_ = "prctl(PR_SET_PDEATHSIG)";
  if (const long set = RawCall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL); set < 0) {
    return static_cast<int>(-set);
  }
  // The caller may have gone before that.
  return RawCall(SYS_getppid) == caller_ ? 0 : ESRCH;
}

int Birth::WriteMaps() {
  // Since Linux 3.19 whoever has no CAP_SETGID outside must give setgroups up first.
  call_ = "write(/proc/self/setgroups, \"deny\")";
  if (const int error = WriteFile("/proc/self/setgroups", "deny"); error != 0) return error;
  call_ = "write(/proc/self/uid_map)";
  if (const int error = WriteFile("/proc/self/uid_map", user_map_); error != 0) return error;
  call_ = "write(/proc/self/gid_map)";
  return WriteFile("/proc/self/gid_map", group_map_);
}

int Birth::RaiseLoopback() {
  call_ = "socket(AF_INET)";
  const long fd = RawCall(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC);
  if (fd < 0) return static_cast<int>(-fd);
  call_ = "ioctl(SIOCSIFFLAGS, lo)";
  ifreq request = {};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;
  const long raised = RawCall(SYS_ioctl, fd, SIOCSIFFLAGS, AddressOf(&request));
  (void)RawCall(SYS_close, fd);
  return raised < 0 ? static_cast<int>(-raised) : 0;
}

int Birth::OpenNamespaces() {
  call_ = "open(/proc/self/ns/…)";
  for (const auto& [path, door] :
       {std::pair("/proc/self/ns/user", &user_door_), std::pair("/proc/self/ns/net", &net_door_)}) {
    const long fd = RawCall(SYS_openat, AT_FDCWD, AddressOf(path), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return static_cast<int>(-fd);
    *door = static_cast<int>(fd);
  }
  return 0;
}

int Birth::BearFirst() {
  call_ = "clone3(CLONE_NEWPID | CLONE_PARENT)";
  clone_args arguments = {};
  // A child of the caller; it ends with the signal with which the maker ends.
  arguments.flags = CLONE_NEWPID | CLONE_PARENT | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&born_pidfd_);
  if (group_ >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(group_);
  }
  // A copy on its own stack, as fork; the caller waits meanwhile and is whole.
  const long pid = RawCall(SYS_clone3, AddressOf(&arguments), sizeof arguments);
  if (pid == 0) {
    run_(argument_);
    (void)RawCall(SYS_exit_group, kOwnFailure);
  }
  born_ = pid;
  return pid < 0 ? static_cast<int>(-pid) : 0;
}

std::unexpected<Error> Birth::Failed() {
  if (maker_ < 0) return std::unexpected(start_error_);
  if (failed_errno_ != 0) return std::unexpected(NoNamespaces(call_, failed_errno_));
  return Fail(ErrorCode::kSystem, "the maker of namespaces was killed");
}

// It may have been killed, and then says nothing.
void Birth::WaitWhile(State state) {
  constexpr timespec kLook = {0, 100'000'000};
  while (maker_ > 0 && state_.load(std::memory_order_acquire) == state) {
    (void)syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, state, &kLook);
    siginfo_t ended = {};
    if (waitid(P_PID, static_cast<id_t>(maker_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        ended.si_pid != 0)
      break;
  }
}

Result<Birth::Doors> Birth::OpenDoors() {
  Start();
  WaitWhile(kMaking);
  if (state_.load(std::memory_order_acquire) != kMade) return Failed();
  return Doors{user_door_, net_door_};
}

Result<Birth::Born> Birth::Bear(int group, void (*run)(const void*), const void* argument) {
  Start();
  if (maker_ < 0) return Failed();
  group_ = group;
  run_ = run;
  argument_ = argument;
  uint32_t before = state_.load();
  while (before != kFailed && !state_.compare_exchange_weak(before, kWanted)) {
  }
  (void)syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1);
  WaitWhile(kWanted);
  if (state_.load(std::memory_order_acquire) != kBorn) {
    const std::unexpected<Error> failed = Failed();
    End();
    return failed;
  }
  return Born{static_cast<pid_t>(born_), OwnedFd(born_pidfd_)};
}

}  // namespace cordon::backend::native
