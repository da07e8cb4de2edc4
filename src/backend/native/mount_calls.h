#ifndef CORDON_BACKEND_NATIVE_MOUNT_CALLS_H_
#define CORDON_BACKEND_NATIVE_MOUNT_CALLS_H_

// The calls that mounts are made with, each with an error that names it. All of them need Linux
// 5.12, for mount_setattr.

#include <sys/mount.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"
#include "policy/plan.h"

namespace cordon::backend::native {

// What is at `path` ("" is the directory itself), following no link and leaving it by no `..`.
[[nodiscard]] OwnedFd OpenBeneath(int directory, const std::string& path, uint64_t flags);
[[nodiscard]] bool HasType(const OwnedFd& node, policy::NodeType type);
// Every directory of `path` below `directory`, made where it is missing. The last one.
[[nodiscard]] Result<OwnedFd> MakeDirectories(int directory, const std::string& path, mode_t mode);

// A detached copy of what is at `path` as seen from `directory`, with everything mounted below; a
// path that is empty is the directory itself. Links are followed.
[[nodiscard]] Result<OwnedFd> CloneTree(int directory, const std::string& path,
                                        const std::string& shown);

struct Attributes {
  uint64_t set = 0;
  uint64_t clear = 0;
};
[[nodiscard]] Status Change(const OwnedFd& tree, Attributes attributes, const std::string& shown);

// A detached mount of a new file system. An option without a value is a flag.
using Options = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] Result<OwnedFd> NewFileSystem(const char* type, const Options& options,
                                            uint64_t attributes);

// Places a detached tree on `path` in `directory`; "" is the directory itself.
[[nodiscard]] Status Attach(const OwnedFd& tree, int directory, const std::string& path,
                            const std::string& shown);

// Where something is mounted for a process, as it sees it (proc_pid_mountinfo(5)). Empty if that
// cannot be read.
[[nodiscard]] std::vector<std::string> MountPointsOf(pid_t pid);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_MOUNT_CALLS_H_
