#include "wasm/compiler/service.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <mutex>

#include "wasm/compiler/codegen.h"

namespace cordon::wasm {
namespace {

Status SetLimit(__rlimit_resource resource, uint64_t value, const char* name) {
  const rlimit limit = {value, value};
  if (setrlimit(resource, &limit) != 0) return SystemError(std::string("setrlimit(") + name + ")");
  return {};
}

// System calls that the compiler needs once everything is loaded, whatever their arguments.
constexpr int kAllowed[] = {
    SCMP_SYS(brk),           SCMP_SYS(munmap),          SCMP_SYS(mremap),
    SCMP_SYS(madvise),       SCMP_SYS(futex),           SCMP_SYS(exit),
    SCMP_SYS(exit_group),    SCMP_SYS(rt_sigprocmask),  SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),   SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(clock_gettime), SCMP_SYS(gettid),          SCMP_SYS(getpid),
    SCMP_SYS(sched_yield),   SCMP_SYS(getrandom),       SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sysinfo),       SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigaction),
};

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

bool Add(const Filter& filter, uint32_t action, int call,
         std::initializer_list<scmp_arg_cmp> when) {
  return seccomp_rule_add_array(filter.get(), action, call, static_cast<unsigned>(when.size()),
                                when.begin()) == 0;
}

bool AddRules(const Filter& filter, const ServiceOptions& service) {
  bool good = true;
  for (const int call : kAllowed) good = good && Add(filter, SCMP_ACT_ALLOW, call, {});
  // Memory, never executable.
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    good = good && Add(filter, SCMP_ACT_ALLOW, call, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)});
  }
  // Threads, no processes: glibc tries clone3 first and takes ENOSYS for an answer.
  good = good && Add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), {});
  good = good && Add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone),
                     {SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)});
  const auto on = [](int fd) { return SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(fd)); };
  good = good && Add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), {on(service.module_fd)});
  for (const int fd : {service.object_fd, service.progress_fd, STDERR_FILENO}) {
    if (fd >= 0) good = good && Add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), {on(fd)});
  }
  // Libraries look for files and terminals; they are told that there are none.
  for (const int call : {SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(readlink), SCMP_SYS(access),
                         SCMP_SYS(newfstatat), SCMP_SYS(fstat), SCMP_SYS(ioctl), SCMP_SYS(prctl)}) {
    good = good && Add(filter, SCMP_ACT_ERRNO(EPERM), call, {});
  }
  return good;
}

Status LoadFilter(const ServiceOptions& service) {
  const Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS), seccomp_release);
  if (!filter || !AddRules(filter, service)) return Fail(ErrorCode::kSystem, "seccomp_rule_add");
  if (const int error = seccomp_load(filter.get()); error != 0) {
    return SystemError("seccomp_load", -error);
  }
  return {};
}

Result<std::vector<std::byte>> ReadAll(int fd, uint64_t limit) {
  std::vector<std::byte> bytes;
  constexpr size_t kChunk = 256 * 1024;
  while (true) {
    const size_t size = bytes.size();
    bytes.resize(size + kChunk);
    const ssize_t count = read(fd, bytes.data() + size, kChunk);
    if (count < 0 && errno != EINTR) return SystemError("read(module)");
    bytes.resize(size + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) return bytes;
    if (bytes.size() > limit) {
      return Fail(ErrorCode::kLimit,
                  "limit: module larger than " + std::to_string(limit) + " bytes");
    }
  }
}

Status WriteAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return SystemError("write(object)");
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return {};
}

}  // namespace

Status LockIn(const ServiceOptions& service) {
  // Everything that is opened, looked up or loaded lazily, now: the targets of LLVM.
  {
    const CodeGenerator warm(Tier::kOptimised, CpuLevel::kX8664V2);
  }
  CORDON_TRY(SetLimit(RLIMIT_CORE, 0, "RLIMIT_CORE"));
  CORDON_TRY(SetLimit(RLIMIT_CPU, service.cpu_seconds, "RLIMIT_CPU"));
  CORDON_TRY(SetLimit(RLIMIT_AS, service.memory_bytes, "RLIMIT_AS"));
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return SystemError("prctl(PR_SET_DUMPABLE, 0)");
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return SystemError("prctl(PR_SET_PDEATHSIG)");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return SystemError("prctl(PR_SET_NO_NEW_PRIVS)");
  }
  return LoadFilter(service);
}

Status RunService(const ServiceOptions& service, CompileOptions options) {
  CORDON_TRY(LockIn(service));
  const Result<std::vector<std::byte>> bytes =
      ReadAll(service.module_fd, options.limits.module_bytes);
  if (!bytes) return std::unexpected(bytes.error());
  std::mutex progress_mutex;
  if (service.progress_fd >= 0) {
    options.progress = [&](size_t done, size_t total) {
      char line[64];
      const int size = std::snprintf(line, sizeof line, "functions %zu %zu\n", done, total);
      const std::lock_guard lock(progress_mutex);
      // Nobody listening is no reason not to compile.
      if (write(service.progress_fd, line, static_cast<size_t>(size)) < 0) return;
    };
  }
  const Result<std::vector<std::byte>> object = Compile(*bytes, options);
  if (!object) return std::unexpected(object.error());
  return WriteAll(service.object_fd, *object);
}

}  // namespace cordon::wasm
