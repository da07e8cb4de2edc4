#include "packages/fetcher/lock_in.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include "base/owned_fd.h"
#include "net/rights.h"

namespace cordon::packages {
namespace {

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

constexpr int kAllowed[] = {
    // descriptors that are there
    SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(readv),
    SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(poll),
    SCMP_SYS(ppoll), SCMP_SYS(close), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(getpeername), SCMP_SYS(getsockname), SCMP_SYS(shutdown), SCMP_SYS(fcntl),
    SCMP_SYS(fstat), SCMP_SYS(lseek),
    // by which the library wakes itself
    SCMP_SYS(eventfd2), SCMP_SYS(pipe2),
    // memory, time, and the C library's own
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall), SCMP_SYS(sysinfo), SCMP_SYS(exit), SCMP_SYS(exit_group)};

// What libraries try and do without.
constexpr int kRefused[] = {SCMP_SYS(open),      SCMP_SYS(openat),     SCMP_SYS(stat),
                            SCMP_SYS(lstat),     SCMP_SYS(newfstatat), SCMP_SYS(access),
                            SCMP_SYS(faccessat), SCMP_SYS(readlink),   SCMP_SYS(uname),
                            SCMP_SYS(getuid),    SCMP_SYS(geteuid),    SCMP_SYS(getgid),
                            SCMP_SYS(getegid),   SCMP_SYS(socket),     SCMP_SYS(prlimit64)};

// Ways to be more than one process that reads files and asks name servers.
constexpr int kNeverReading[] = {SCMP_SYS(execve),
                                 SCMP_SYS(execveat),
                                 SCMP_SYS(fork),
                                 SCMP_SYS(vfork),
                                 SCMP_SYS(ptrace),
                                 SCMP_SYS(process_vm_readv),
                                 SCMP_SYS(process_vm_writev),
                                 SCMP_SYS(kill),
                                 SCMP_SYS(tkill),
                                 SCMP_SYS(tgkill),
                                 SCMP_SYS(pidfd_open),
                                 SCMP_SYS(pidfd_getfd),
                                 SCMP_SYS(pidfd_send_signal),
                                 SCMP_SYS(mount),
                                 SCMP_SYS(umount2),
                                 SCMP_SYS(pivot_root),
                                 SCMP_SYS(chroot),
                                 SCMP_SYS(unshare),
                                 SCMP_SYS(setns),
                                 SCMP_SYS(bpf),
                                 SCMP_SYS(perf_event_open),
                                 SCMP_SYS(io_uring_setup),
                                 SCMP_SYS(userfaultfd),
                                 SCMP_SYS(keyctl),
                                 SCMP_SYS(add_key),
                                 SCMP_SYS(request_key),
                                 SCMP_SYS(open_by_handle_at),
                                 SCMP_SYS(init_module),
                                 SCMP_SYS(finit_module),
                                 SCMP_SYS(kexec_load),
                                 SCMP_SYS(memfd_create)};

Status Limit(__rlimit_resource resource, rlim_t value, const char* name) {
  const rlimit limit = {value, value};
  if (setrlimit(resource, &limit) != 0) return SystemError(std::string("setrlimit(") + name + ")");
  return {};
}

bool AddIf(const Filter& filter, int call, const scmp_arg_cmp& condition) {
  return seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call, 1, &condition) == 0;
}

template <size_t kCount>
bool AddAll(const Filter& filter, uint32_t action, const int (&calls)[kCount]) {
  for (const int call : calls) {
    if (seccomp_rule_add(filter.get(), action, call, 0) != 0) return false;
  }
  return true;
}

Status Load(const Filter& filter, bool is_complete) {
  if (!is_complete) return Fail(ErrorCode::kInternal, "seccomp_rule_add");
  if (const int error = seccomp_load(filter.get()); error != 0) {
    return SystemError("seccomp_load", -error);
  }
  return {};
}

// Kernels without Landlock have the filter and the user alone.
Status ReadFilesOnly() {
  const long abi =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1 && (errno == ENOSYS || errno == EOPNOTSUPP)) return {};
  if (abi < 1) return SystemError("landlock_create_ruleset(VERSION)");
  constexpr uint64_t kAll = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
  const landlock_ruleset_attr attributes = {kAll};
  const OwnedFd rules(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof(uint64_t), 0)));
  if (!rules.valid()) return SystemError("landlock_create_ruleset");
  const OwnedFd root(open("/", O_PATH | O_CLOEXEC));
  landlock_path_beneath_attr beneath = {};
  // Modules of the name service are mapped, which is reading.
  beneath.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
  beneath.parent_fd = root.get();
  if (syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0) {
    return SystemError("landlock_add_rule(/)");
  }
  if (syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) {
    return SystemError("landlock_restrict_self");
  }
  return {};
}

}  // namespace

Status LimitResources(uint64_t most_file_bytes) {
  constexpr rlim_t kMemory = rlim_t{512} << 20;
  constexpr rlim_t kSeconds = 300;
  constexpr rlim_t kDescriptors = 32;
  CORDON_TRY(Limit(RLIMIT_AS, kMemory, "RLIMIT_AS"));
  CORDON_TRY(Limit(RLIMIT_CPU, kSeconds, "RLIMIT_CPU"));
  CORDON_TRY(Limit(RLIMIT_NOFILE, kDescriptors, "RLIMIT_NOFILE"));
  CORDON_TRY(Limit(RLIMIT_FSIZE, most_file_bytes, "RLIMIT_FSIZE"));
  return Limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
}

Status LockIn() {
  CORDON_TRY(net::GiveUpUser());
  CORDON_TRY(net::GiveUpFiles());
  const Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS), seccomp_release);
  constexpr scmp_datum_t kWritable = PROT_READ | PROT_WRITE;
  const bool is_complete =
      filter && AddAll(filter, SCMP_ACT_ALLOW, kAllowed) &&
      AddAll(filter, SCMP_ACT_ERRNO(EPERM), kRefused) &&
      // libcurl connects what is connected; done, it would be another connection (AF_UNSPEC).
      seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EINPROGRESS), SCMP_SYS(connect), 0) == 0 &&
      AddIf(filter, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, ~kWritable, 0)) &&
      AddIf(filter, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, ~kWritable, 0)) &&
      AddIf(filter, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, FIONBIO, 0)) &&
      AddIf(filter, SCMP_SYS(socketpair), SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
  return Load(filter, is_complete);
}

Status LockInToReading() {
  CORDON_TRY(net::GiveUpUser());
  CORDON_TRY(ReadFilesOnly());
  const Filter filter(seccomp_init(SCMP_ACT_ALLOW), seccomp_release);
  const scmp_arg_cmp no_thread = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
  const bool is_complete =
      filter && AddAll(filter, SCMP_ACT_ERRNO(EPERM), kNeverReading) &&
      seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
      seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &no_thread) ==
          0;
  return Load(filter, is_complete);
}

}  // namespace cordon::packages
