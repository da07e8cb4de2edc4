#include "net/lockdown.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/owned_fd.h"

namespace cordon::net {
namespace {

// A descriptor for each end of a flow.
Status RaiseDescriptors() {
  constexpr rlim_t kWanted = 65536;
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return SystemError("getrlimit(RLIMIT_NOFILE)");
  limit.rlim_cur = limit.rlim_max = std::min(limit.rlim_max, kWanted);
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return SystemError("setrlimit(RLIMIT_NOFILE)");
  const rlimit none = {0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) return SystemError("setrlimit(RLIMIT_CORE)");
  return {};
}

// In a user namespace there may be nobody else to be; then its root, without a capability.
Status LeaveRoot() {
  constexpr uid_t kNobody = 65534;
  if (geteuid() != 0) return {};
  if (setgroups(0, nullptr) != 0 && errno != EPERM) return SystemError("setgroups(0)");
  if (setresgid(kNobody, kNobody, kNobody) != 0 && errno != EINVAL) return SystemError("setresgid");
  if (setresuid(kNobody, kNobody, kNobody) != 0 && errno != EINVAL) return SystemError("setresuid");
  return {};
}

// While there is still the right to.
Status EmptyBoundingSet() {
  for (unsigned long capability = 0;; ++capability) {
    const int is_there = prctl(PR_CAPBSET_READ, capability);
    if (is_there < 0) return {};
    // Needs CAP_SETPCAP; without it there is nothing to gain the others with either.
    if (is_there == 1 && prctl(PR_CAPBSET_DROP, capability) != 0 && errno != EPERM) {
      return SystemError("prctl(PR_CAPBSET_DROP)");
    }
  }
}

Status DropCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) return SystemError("capset(none)");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return SystemError("prctl(PR_SET_NO_NEW_PRIVS)");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return SystemError("prctl(PR_SET_DUMPABLE)");
  return {};
}

// With whoever started it; forgotten by the kernel whenever the user changes.
Status BindToParent() {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return SystemError("prctl(PR_SET_PDEATHSIG)");
  return {};
}

// No file at all. The system call filter says so too; kernels without Landlock have only that.
Status LeaveFiles() {
  const long abi =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1 && (errno == ENOSYS || errno == EOPNOTSUPP)) return {};
  if (abi < 1) return SystemError("landlock_create_ruleset(VERSION)");
  constexpr uint64_t kOfFirst = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
  // Newer than the headers of Debian 12: scopes of signals and abstract sockets, ABI 6.
  const struct {
    uint64_t files;
    uint64_t net;
    uint64_t scoped;
  } attributes = {kOfFirst, 0, abi >= 6 ? 3U : 0U};
  const OwnedFd rules(static_cast<int>(
      syscall(SYS_landlock_create_ruleset, &attributes, abi >= 6 ? sizeof attributes : 8, 0)));
  if (!rules.valid()) return SystemError("landlock_create_ruleset");
  if (syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) {
    return SystemError("landlock_restrict_self");
  }
  return {};
}

constexpr int kCalls[] = {
    // the loop
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_create), SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(fcntl), SCMP_SYS(close), SCMP_SYS(read),
    SCMP_SYS(write), SCMP_SYS(writev),
    // sockets, once they are there
    SCMP_SYS(accept4), SCMP_SYS(connect), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(shutdown),
    // memory, time, and the C library's own
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
    SCMP_SYS(exit_group)};

bool AddRules(scmp_filter_ctx filter) {
  for (const int call : kCalls) {
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) != 0) return false;
  }
  const auto allow_if = [&](int call, std::initializer_list<scmp_arg_cmp> conditions) {
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call,
                                  static_cast<unsigned>(conditions.size()),
                                  conditions.begin()) == 0;
  };
  constexpr scmp_datum_t kWritable = PROT_READ | PROT_WRITE;
  bool is_good = allow_if(SCMP_SYS(mmap), {SCMP_A2(SCMP_CMP_MASKED_EQ, ~kWritable, 0)}) &&
                 allow_if(SCMP_SYS(mprotect), {SCMP_A2(SCMP_CMP_MASKED_EQ, ~kWritable, 0)}) &&
                 allow_if(SCMP_SYS(ioctl), {SCMP_A1(SCMP_CMP_EQ, FIONBIO)});
  constexpr scmp_datum_t kTypeMask = ~static_cast<scmp_datum_t>(SOCK_NONBLOCK | SOCK_CLOEXEC);
  for (const int family : {AF_INET, AF_INET6}) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
      is_good = is_good &&
                allow_if(SCMP_SYS(socket),
                         {SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)),
                          SCMP_A1(SCMP_CMP_MASKED_EQ, kTypeMask, static_cast<scmp_datum_t>(type)),
                          SCMP_A2(SCMP_CMP_EQ, 0)});
    }
  }
  return is_good;
}

Status LeaveCalls() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  if (filter == nullptr) return Fail(ErrorCode::kSystem, "seccomp_init");
  const bool is_complete = AddRules(filter);
  const int error = is_complete ? seccomp_load(filter) : 0;
  seccomp_release(filter);
  if (!is_complete) return Fail(ErrorCode::kInternal, "seccomp_rule_add");
  if (error != 0) return SystemError("seccomp_load", -error);
  return {};
}

}  // namespace

Status LockDown() {
  CORDON_TRY(RaiseDescriptors());
  CORDON_TRY(EmptyBoundingSet());
  CORDON_TRY(LeaveRoot());
  CORDON_TRY(DropCapabilities());
  CORDON_TRY(BindToParent());
  CORDON_TRY(LeaveFiles());
  return LeaveCalls();
}

}  // namespace cordon::net
