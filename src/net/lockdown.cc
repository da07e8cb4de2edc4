#include "net/lockdown.h"

#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>

#include "net/rights.h"

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
    SCMP_SYS(sched_yield), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group)};

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
  CORDON_TRY(GiveUpUser());
  CORDON_TRY(GiveUpFiles());
  return LeaveCalls();
}

}  // namespace cordon::net
