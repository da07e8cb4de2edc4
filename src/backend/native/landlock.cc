#include "backend/native/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "base/owned_fd.h"

namespace cordon::backend::native {
namespace {

// Newer than the headers of Debian 12.
constexpr uint64_t kTruncate = uint64_t{1} << 14;     // ABI 3
constexpr uint64_t kIoctlDevice = uint64_t{1} << 15;  // ABI 5
constexpr uint64_t kScopes = 3;                       // ABI 6: abstract sockets, signals
struct RulesetAttributes {
  uint64_t files;
  uint64_t net;
  uint64_t scoped;
};

constexpr uint64_t kRead =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kAll1 = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
// What a rule for a plain file may say.
constexpr uint64_t kOfFiles = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                              LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate | kIoctlDevice;

uint64_t RightsOf(long abi) {
  uint64_t rights = kAll1;
  if (abi >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) rights |= kTruncate;
  if (abi >= 5) rights |= kIoctlDevice;
  return rights;
}

Status Allow(const OwnedFd& ruleset, const std::string& path, uint64_t rights) {
  const OwnedFd place(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!place.valid()) return SystemError("open(" + path + ", O_PATH)");
  struct stat stat = {};
  if (fstat(place.get(), &stat) != 0) return SystemError("fstat(" + path + ")");
  if (!S_ISDIR(stat.st_mode)) rights &= kOfFiles;
  const landlock_path_beneath_attr rule = {rights, place.get()};
  if (syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    return SystemError("landlock_add_rule(" + path + ")");
  }
  return {};
}

bool IsWritable(const policy::Mount& mount) {
  using policy::MountKind;
  return mount.kind == MountKind::kDev || (mount.kind == MountKind::kTmpfs && !mount.read_only) ||
         (mount.kind == MountKind::kBind && !mount.read_only);
}

}  // namespace

Status RestrictFiles(const policy::Plan& plan) {
  const long abi =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1 && (errno == ENOSYS || errno == EOPNOTSUPP)) return {};
  if (abi < 1) return SystemError("landlock_create_ruleset(VERSION)");
  // Without REFER nothing can be moved between directories, which no plan says.
  if (abi < 2) return {};
  const uint64_t rights = RightsOf(abi);
  const RulesetAttributes attributes = {rights, 0, abi >= 6 ? kScopes : 0};
  const OwnedFd ruleset(static_cast<int>(
      syscall(SYS_landlock_create_ruleset, &attributes, abi >= 6 ? sizeof attributes : 8, 0)));
  if (!ruleset.valid()) return SystemError("landlock_create_ruleset");
  CORDON_TRY(Allow(ruleset, "/", kRead));
  for (const policy::Mount& mount : plan.mounts) {
    if (!IsWritable(mount)) continue;
    // One that is not there was to be skipped.
    if (mount.if_missing == policy::IfMissing::kSkip && access(mount.target.c_str(), F_OK) != 0)
      continue;
    CORDON_TRY(Allow(ruleset, mount.target, rights));
  }
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return SystemError("landlock_restrict_self");
  }
  return {};
}

}  // namespace cordon::backend::native
