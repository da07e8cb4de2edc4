#include "archive/unpacker/lock_in.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>

#include "net/rights.h"

namespace cordon::archive {
namespace {

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

// Memory, and the end. Time is read without a call.
constexpr int kAllowed[] = {SCMP_SYS(brk),  SCMP_SYS(munmap),       SCMP_SYS(mremap),
                            SCMP_SYS(exit), SCMP_SYS(exit_group),   SCMP_SYS(rt_sigreturn),
                            SCMP_SYS(time), SCMP_SYS(clock_gettime)};

// What libraries try and do without: character sets of names, and how large a buffer may be.
constexpr int kRefused[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(newfstatat),
                            SCMP_SYS(madvise), SCMP_SYS(sysinfo)};

bool Add(const Filter& filter, uint32_t action, int call,
         std::initializer_list<scmp_arg_cmp> when) {
  return seccomp_rule_add_array(filter.get(), action, call, static_cast<unsigned>(when.size()),
                                when.begin()) == 0;
}

bool AddRules(const Filter& filter, const LeftOver& left) {
  bool good = true;
  for (const int call : kAllowed) good = good && Add(filter, SCMP_ACT_ALLOW, call, {});
  for (const int call : kRefused) good = good && Add(filter, SCMP_ACT_ERRNO(EPERM), call, {});
  constexpr scmp_datum_t kWritable = PROT_READ | PROT_WRITE;
  if (left.file >= 0) {
    good = good && Add(filter, SCMP_ACT_ALLOW, SCMP_SYS(pwrite64),
                       {SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(left.file))});
  }
  return good &&
         Add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap),
             {SCMP_A2(SCMP_CMP_MASKED_EQ, ~kWritable, 0),
              SCMP_A3(SCMP_CMP_EQ, MAP_PRIVATE | MAP_ANONYMOUS)}) &&
         Add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), {SCMP_A0(SCMP_CMP_EQ, STDOUT_FILENO)}) &&
         Add(filter, SCMP_ACT_ALLOW, SCMP_SYS(writev), {SCMP_A0(SCMP_CMP_EQ, STDOUT_FILENO)});
}

Status Limit(__rlimit_resource resource, rlim_t value, const char* name) {
  const rlimit limit = {value, value};
  if (setrlimit(resource, &limit) != 0) return SystemError(std::string("setrlimit(") + name + ")");
  return {};
}

Status LimitResources(uint64_t archive_bytes, uint64_t most_plain_bytes, const LeftOver& left) {
  // A window of zstd is 128 MiB at most.
  constexpr rlim_t kMemory = rlim_t{384} << 20;
  constexpr rlim_t kSeconds = 60;
  // Far less than every machine does in a second.
  constexpr uint64_t kBytesEachSecond = uint64_t{20} << 20;
  constexpr uint64_t kMostPlain = uint64_t{1} << 40;
  const rlim_t seconds =
      kSeconds + (archive_bytes + std::min(most_plain_bytes, kMostPlain)) / kBytesEachSecond;
  CORDON_TRY(Limit(RLIMIT_AS, kMemory + archive_bytes, "RLIMIT_AS"));
  CORDON_TRY(Limit(RLIMIT_CPU, seconds, "RLIMIT_CPU"));
  CORDON_TRY(Limit(RLIMIT_NOFILE, 0, "RLIMIT_NOFILE"));
  CORDON_TRY(Limit(RLIMIT_FSIZE, left.file < 0 ? 0 : left.bytes, "RLIMIT_FSIZE"));
  return Limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
}

}  // namespace

Status LockIn(uint64_t archive_bytes, uint64_t most_plain_bytes, const LeftOver& left) {
  CORDON_TRY(net::GiveUpUser());
  CORDON_TRY(net::GiveUpFiles());
  const Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS), seccomp_release);
  if (!filter || !AddRules(filter, left)) {
    return Fail(ErrorCode::kInternal, "seccomp_rule_add");
  }
  CORDON_TRY(LimitResources(archive_bytes, most_plain_bytes, left));
  if (const int error = seccomp_load(filter.get()); error != 0) {
    return SystemError("seccomp_load", -error);
  }
  return {};
}

}  // namespace cordon::archive
