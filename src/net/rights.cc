#include "net/rights.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/owned_fd.h"

namespace cordon::net {
namespace {

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

}  // namespace

Status GiveUpUser() {
  CORDON_TRY(EmptyBoundingSet());
  CORDON_TRY(LeaveRoot());
  CORDON_TRY(DropCapabilities());
  return BindToParent();
}

// No file at all. The system call filter says so too; kernels without Landlock have only that.
Status GiveUpFiles() {
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

}  // namespace cordon::net
