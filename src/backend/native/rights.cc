#include "backend/native/rights.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace cordon::backend::native {
namespace {

Status Set(__rlimit_resource resource, const char* name, uint64_t value) {
  rlimit limit = {};
  if (getrlimit(resource, &limit) != 0) return SystemError(std::string("getrlimit(") + name + ")");
  // Never more than the caller has.
  limit.rlim_max = std::min<rlim_t>(limit.rlim_max, value);
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(resource, &limit) != 0) return SystemError(std::string("setrlimit(") + name + ")");
  return {};
}

}  // namespace

Status DropCapabilities() {
  // Those that this kernel does not have are an error, and the end.
  for (unsigned long capability = 0;; ++capability) {
    if (prctl(PR_CAPBSET_DROP, capability) == 0) continue;
    if (errno == EINVAL && capability > CAP_SETPCAP) break;
    return SystemError("prctl(PR_CAPBSET_DROP)");
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return SystemError("prctl(PR_CAP_AMBIENT_CLEAR_ALL)");
  }
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) return SystemError("capset(none)");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return SystemError("prctl(PR_SET_NO_NEW_PRIVS)");
  return {};
}

Status SetResourceLimits(const policy::LimitPlan& limits, Alone alone) {
  // By a core of one byte no file is written and no program of the host's started (core(5): 0 still
  // starts what core_pattern pipes to, outside, as root, and hands it what the command made).
  CORDON_TRY(Set(RLIMIT_CORE, "RLIMIT_CORE", 1));
  if (limits.open_files) CORDON_TRY(Set(RLIMIT_NOFILE, "RLIMIT_NOFILE", *limits.open_files));
  if (limits.cpu_time) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*limits.cpu_time).count();
    // The keeper is first, and says why; this ends one process where it does not get to it.
    constexpr uint64_t kLater = 1;
    CORDON_TRY(Set(RLIMIT_CPU, "RLIMIT_CPU", static_cast<uint64_t>(seconds) + kLater));
  }
  if (alone == Alone::kYes) {
    // In a user namespace of one's own only its processes count (Linux 5.14). Of ours it is one:
    // the init.
    constexpr uint64_t kOurs = 1;
    if (limits.processes) CORDON_TRY(Set(RLIMIT_NPROC, "RLIMIT_NPROC", *limits.processes + kOurs));
    if (limits.memory_bytes) CORDON_TRY(Set(RLIMIT_DATA, "RLIMIT_DATA", *limits.memory_bytes));
  }
  return {};
}

}  // namespace cordon::backend::native
