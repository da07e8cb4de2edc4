#include "backend/native/namespaces.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "base/owned_fd.h"

namespace cordon::backend::native {
namespace {

constexpr uint32_t kOrdinary = 1000;

Status Write(const char* path, const std::string& text) {
  const OwnedFd file(open(path, O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return SystemError(std::string("open(") + path + ")");
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return SystemError(std::string("write(") + path + ", \"" + text + "\")");
  }
  return {};
}

std::string MapLine(uint32_t inner, uint32_t outer) {
  return std::to_string(inner) + " " + std::to_string(outer) + " 1";
}

}  // namespace

Identity IdentityOf(uid_t uid, gid_t gid) {
  return {uid == 0 ? kOrdinary : uid, gid == 0 ? kOrdinary : gid};
}

Status MapIdentity(const Identity& identity, uid_t outer_uid, gid_t outer_gid) {
  // Since Linux 3.19 whoever has no CAP_SETGID outside must give setgroups up first.
  CORDON_TRY(Write("/proc/self/setgroups", "deny"));
  CORDON_TRY(Write("/proc/self/uid_map", MapLine(identity.uid, outer_uid)));
  return Write("/proc/self/gid_map", MapLine(identity.gid, outer_gid));
}

Status HideGroups() {
  if (unshare(CLONE_NEWCGROUP) != 0) return SystemError("unshare(CLONE_NEWCGROUP)");
  return {};
}

Status NameHost() {
  if (sethostname("cordon", 6) != 0) return SystemError("sethostname");
  return {};
}

}  // namespace cordon::backend::native
