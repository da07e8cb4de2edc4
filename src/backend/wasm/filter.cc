#include "backend/wasm/filter.h"

#include <linux/futex.h>
#include <seccomp.h>
#include <sys/mman.h>

#include <iterator>
#include <memory>

#include "arena/layout.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace cordon::backend {
namespace {

constexpr uint64_t kWholeWord = UINT64_MAX;
// Private or shared, and which clock a time-out is of, make no difference to what may be reached.
constexpr uint64_t kFutexCommand = uint32_t(FUTEX_CMD_MASK);

constexpr FilterRule Allow(const char* name, int call, const char* reason) {
  return {name, call, FilterRule::kAllow, 0, 0, 0, reason};
}

constexpr FilterRule AllowEqual(const char* name, int call, uint8_t argument, uint64_t mask,
                                uint64_t value, const char* reason) {
  return {name, call, FilterRule::kAllowEqual, argument, mask, value, reason};
}

constexpr FilterRule NotThere(const char* name, int call, const char* reason) {
  return {name, call, FilterRule::kNotThere, 0, 0, 0, reason};
}

#define CALL(name) #name, SCMP_SYS(name)

// clang-format off
constexpr FilterRule kGuestRules[] = {
    // Waiting. The operations with owners (PI, requeue) are not ours and have a history.
    AllowEqual(CALL(futex), 1, kFutexCommand, FUTEX_WAIT_BITSET, "every wait of the kernel"),
    AllowEqual(CALL(futex), 1, kFutexCommand, FUTEX_WAKE,        "every wake-up of the kernel"),
    AllowEqual(CALL(futex), 1, kFutexCommand, FUTEX_WAIT,        "locks of the C library"),
    Allow(CALL(restart_syscall),                                 "a wait after a kick"),

    // Processes: two exact flag words. clone3's flags lie in memory, where no filter sees them.
    AllowEqual(CALL(clone), 0, kWholeWord, kCloneProcessFlags,   "fork; the keeper is the host parent"),
    AllowEqual(CALL(clone), 0, kWholeWord, kCloneThreadFlags,    "guest threads"),
    NotThere(CALL(clone3),                                       "the C library then uses clone"),
    Allow(CALL(exit),                                            "end of a thread"),
    Allow(CALL(exit_group),                                      "end of a process"),
    Allow(CALL(gettid),                                          "what the keeper needs for a kick"),
    Allow(CALL(set_robust_list),                                 "start of a thread"),
    Allow(CALL(rseq),                                            "start of a thread"),

    // Memory, never executable. Sealed files cannot be grown, and there is no descriptor to map.
    AllowEqual(CALL(mmap), 2, PROT_EXEC, 0,                      "linear memory, instances"),
    AllowEqual(CALL(mprotect), 2, PROT_EXEC, 0,                  "memory.grow, guard pages"),
    Allow(CALL(munmap),                                          "generations of blocks"),
    {CALL(mremap), FilterRule::kAllowMove, 0, 0, 0,              "frozen programs, which are never executable"},
    AllowEqual(CALL(madvise), 2, kWholeWord, MADV_DONTNEED,      "giving private pages back"),
    AllowEqual(CALL(madvise), 2, kWholeWord, MADV_REMOVE,        "giving shared pages back"),
    AllowEqual(CALL(madvise), 2, kWholeWord, MADV_POPULATE_READ, "pages before a lock is taken"),
    AllowEqual(CALL(madvise), 2, kWholeWord, MADV_POPULATE_WRITE,"pages before a lock is taken"),
    AllowEqual(CALL(madvise), 2, kWholeWord, MADV_HUGEPAGE,      "large linear memories"),
    AllowEqual(CALL(madvise), 2, kWholeWord, MADV_NOHUGEPAGE,    "small ones"),

    // Signals to oneself only: faults become traps, kicks come from outside. There is no kill.
    Allow(CALL(rt_sigaction),                                    "handlers of a clone"),
    Allow(CALL(rt_sigprocmask),                                  "leaving a handler by a jump"),
    Allow(CALL(rt_sigreturn),                                    "leaving a handler"),
    Allow(CALL(sigaltstack),                                     "the stack of the handlers"),

    // Clocks and entropy.
    Allow(CALL(clock_gettime),                                   "clocks without a vDSO entry"),
    Allow(CALL(clock_getres),                                    "clocks"),
    Allow(CALL(gettimeofday),                                    "clocks"),
    Allow(CALL(getrandom),                                       "entropy"),
};

// For the one call that is notified (ListenForParts), whose answer is a descriptor.
constexpr FilterRule kForkRules[] = {
    Allow(CALL(dup),                                             "asks the family process for a memfd"),
    Allow(CALL(close),                                           "of that one, there is no other"),
};

constexpr FilterRule kFamilyInitRules[] = {
    AllowEqual(CALL(futex), 1, kFutexCommand, FUTEX_WAIT_BITSET, "sleeps on the kicker bell"),
    Allow(CALL(tgkill),                                          "kicks, in its PID namespace"),
    Allow(CALL(wait4),                                           "reaps orphans"),
    Allow(CALL(rt_sigreturn),                                    "after SIGCHLD"),
    Allow(CALL(restart_syscall),                                 "a wait after SIGCHLD"),
    Allow(CALL(exit_group),                                      "end of the family"),
};

// What the C library makes threads of: pthread_create's flags.
constexpr uint64_t kLibraryThreadFlags = kCloneThreadFlags | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
constexpr FilterRule kKickerRules[] = {
    AllowEqual(CALL(futex), 1, kFutexCommand, FUTEX_WAIT_BITSET, "sleeps on a kicker bell"),
    AllowEqual(CALL(futex), 1, kFutexCommand, FUTEX_WAIT,        "locks of the C library"),
    AllowEqual(CALL(futex), 1, kFutexCommand, FUTEX_WAKE,        "the end of a thread"),
    Allow(CALL(tgkill),                                          "kicks, in its PID namespace"),
    Allow(CALL(recvmsg),                                         "control pages"),
    Allow(CALL(sendto),                                          "which of them are not served"),
    Allow(CALL(close),                                           "of their descriptors"),
    AllowEqual(CALL(mmap), 2, PROT_EXEC, 0,                      "control pages, stacks"),
    AllowEqual(CALL(mprotect), 2, PROT_EXEC, 0,                  "stacks"),
    Allow(CALL(munmap),                                          "control pages, stacks"),
    Allow(CALL(madvise),                                         "stacks of threads that ended"),
    Allow(CALL(brk),                                             "the heap"),
    AllowEqual(CALL(clone), 0, kWholeWord, kLibraryThreadFlags,  "a thread for each page"),
    NotThere(CALL(clone3),                                       "the C library then uses clone"),
    Allow(CALL(set_robust_list),                                 "start of a thread"),
    Allow(CALL(rseq),                                            "start of a thread"),
    Allow(CALL(rt_sigaction),                                    "the first thread"),
    Allow(CALL(rt_sigprocmask),                                  "start and end of a thread"),
    Allow(CALL(exit),                                            "end of a thread"),
    Allow(CALL(exit_group),                                      "end of the family"),
    Allow(CALL(restart_syscall),                                 "a wait that was interrupted"),
};
// clang-format on

#undef CALL

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

// Both windows begin where the upper half of an address changes, and what is moved is below 4 GiB,
// so comparing upper halves says where it comes from and where it goes.
int AddMove(const Filter& filter, const FilterRule& rule) {
  constexpr uint64_t kUpperHalf = 0xffff'ffff'0000'0000;
  constexpr uint64_t kDontUnmap = 4;
  static_assert((layout::kUserlandFrozen & ~kUpperHalf) == 0 &&
                (layout::kMemory & ~kUpperHalf) == 0);
  const scmp_arg_cmp when[] = {
      {0, SCMP_CMP_MASKED_EQ, kUpperHalf, layout::kUserlandFrozen},
      {1, SCMP_CMP_MASKED_EQ, kUpperHalf, 0},
      {2, SCMP_CMP_MASKED_EQ, kUpperHalf, 0},
      {3, SCMP_CMP_EQ, MREMAP_MAYMOVE | MREMAP_FIXED | kDontUnmap, 0},
      {4, SCMP_CMP_MASKED_EQ, kUpperHalf, layout::kMemory},
  };
  return seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, rule.call, std::size(when), when);
}

int AddRule(const Filter& filter, const FilterRule& rule) {
  switch (rule.verdict) {
    case FilterRule::kAllow:
      return seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, rule.call, 0, nullptr);
    case FilterRule::kAllowEqual: {
      const scmp_arg_cmp when = {rule.argument, SCMP_CMP_MASKED_EQ, rule.mask, rule.value};
      return seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, rule.call, 1, &when);
    }
    case FilterRule::kAllowMove:
      return AddMove(filter, rule);
    case FilterRule::kNotThere:
      return seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(ENOSYS), rule.call, 0, nullptr);
  }
  return -EINVAL;
}

}  // namespace

std::span<const FilterRule> GuestRules() {
  return kGuestRules;
}

std::span<const FilterRule> ForkRules() {
  return kForkRules;
}

std::span<const FilterRule> FamilyInitRules() {
  return kFamilyInitRules;
}

std::span<const FilterRule> KickerRules() {
  return kKickerRules;
}

Result<OwnedFd> ListenForParts() {
  const Filter filter(seccomp_init(SCMP_ACT_ALLOW), seccomp_release);
  if (!filter) return Fail(ErrorCode::kSystem, "seccomp_init(SCMP_ACT_ALLOW)");
  if (const int error =
          seccomp_rule_add_array(filter.get(), SCMP_ACT_NOTIFY, SCMP_SYS(dup), 0, nullptr);
      error != 0) {
    return SystemError("seccomp_rule_add(notify)", -error);
  }
  if (const int error = seccomp_load(filter.get()); error != 0) {
    return SystemError("seccomp_load(notify)", -error);
  }
  OwnedFd listener(seccomp_notify_fd(filter.get()));
  if (!listener.valid()) return Fail(ErrorCode::kSystem, "seccomp_notify_fd");
  return listener;
}

Status LoadFilter(std::span<const FilterRule> rules, std::span<const FilterRule> more) {
  const Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS), seccomp_release);
  if (!filter) return Fail(ErrorCode::kSystem, "seccomp_init(SCMP_ACT_KILL_PROCESS)");
  if (const int error =
          seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
      error != 0) {
    return SystemError("seccomp_attr_set(SCMP_FLTATR_ACT_BADARCH)", -error);
  }
  for (const auto table : {rules, more}) {
    for (const FilterRule& rule : table) {
      if (const int error = AddRule(filter, rule); error != 0) {
        return SystemError(std::string("seccomp_rule_add(") + rule.name + ")", -error);
      }
    }
  }
  if (const int error = seccomp_load(filter.get()); error != 0) {
    return SystemError("seccomp_load", -error);
  }
  return {};
}

}  // namespace cordon::backend
