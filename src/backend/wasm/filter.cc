#include "backend/wasm/filter.h"

#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <cerrno>
#include <csignal>

namespace cordon::backend {
namespace {

// What code behind the wall may ask of the host: memory that cannot be executed, sleeping, copies
// of itself, time, randomness, its own end. No call here names a file, a socket, another process or
// a right. Everything else ends the process with SIGSYS, in every ABI: a filter of one architecture
// refuses the others.
struct Row {
  int call;
  int argument;  // index, or -1: any arguments
  scmp_compare compare;
  scmp_datum_t mask;  // of SCMP_CMP_MASKED_EQ
  scmp_datum_t value;
};

constexpr Row kTable[] = {
    {SCMP_SYS(mmap), 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0},
    {SCMP_SYS(munmap), -1, SCMP_CMP_EQ, 0, 0},
    {SCMP_SYS(madvise), 2, SCMP_CMP_EQ, MADV_DONTNEED, 0},
    {SCMP_SYS(madvise), 2, SCMP_CMP_EQ, MADV_REMOVE, 0},
    {SCMP_SYS(clone), 0, SCMP_CMP_EQ, CLONE_PARENT | SIGCHLD, 0},
    {SCMP_SYS(futex), -1, SCMP_CMP_EQ, 0, 0},
    {SCMP_SYS(sigaltstack), -1, SCMP_CMP_EQ, 0, 0},
    {SCMP_SYS(rt_sigprocmask), -1, SCMP_CMP_EQ, 0, 0},
    {SCMP_SYS(rt_sigreturn), -1, SCMP_CMP_EQ, 0, 0},
    {SCMP_SYS(restart_syscall), -1, SCMP_CMP_EQ, 0, 0},
    {SCMP_SYS(gettid), -1, SCMP_CMP_EQ, 0, 0},
    {SCMP_SYS(clock_gettime), -1, SCMP_CMP_EQ, 0, 0},
    {SCMP_SYS(getrandom), -1, SCMP_CMP_EQ, 0, 0},
    {SCMP_SYS(exit), -1, SCMP_CMP_EQ, 0, 0},
    {SCMP_SYS(exit_group), -1, SCMP_CMP_EQ, 0, 0},
};

}  // namespace

Status LoadGuestFilter() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return SystemError("prctl(PR_SET_NO_NEW_PRIVS, 1)");
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  if (filter == nullptr) return SystemError("seccomp_init(SCMP_ACT_KILL_PROCESS)");
  int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  if (error == 0) error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1);
  for (const Row& row : kTable) {
    if (error != 0) break;
    if (row.argument < 0) {
      error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, row.call, 0);
      continue;
    }
    const scmp_arg_cmp compare =
        row.compare == SCMP_CMP_MASKED_EQ
            ? scmp_arg_cmp{static_cast<unsigned>(row.argument), row.compare, row.mask, row.value}
            : scmp_arg_cmp{static_cast<unsigned>(row.argument), row.compare, row.mask, 0};
    error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, row.call, 1, &compare);
  }
  // A C library that would like clone3 falls back on this answer.
  if (error == 0) error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  if (error == 0) error = seccomp_load(filter);
  seccomp_release(filter);
  if (error != 0) return SystemError("seccomp_load()", -error);
  return {};
}

}  // namespace cordon::backend
