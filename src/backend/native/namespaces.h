#ifndef CORDON_BACKEND_NATIVE_NAMESPACES_H_
#define CORDON_BACKEND_NATIVE_NAMESPACES_H_

#include <sched.h>
#include <sys/types.h>

#include "backend/native/generated_files.h"
#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::backend::native {

// Everything has a user namespace, root's too: no capability that could be left over in it is one
// over the host. That of control groups begins once the process is in its own; that of the network
// comes with the first process, or is made beside its root (net_namespace.h).
inline constexpr unsigned long kNamespaceFlags =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID;
enum class Network { kWithFirstProcess, kBesideRoot };

// What a step is followed by that fails because the machine allows no user namespaces, or none with
// rights inside.
inline constexpr const char* kNamespacesRemedy =
    ": user namespaces are not allowed here (sysctl kernel.unprivileged_userns_clone=1, "
    "kernel.apparmor_restrict_unprivileged_userns=0; in a container, a seccomp profile that "
    "allows clone3 and unshare)";

struct FirstProcess {
  pid_t pid = -1;
  OwnedFd pidfd;
};
// A child of the caller, a copy as of fork(2), the first in namespaces of its own and in the
// control group of version 2 `group` unless that is -1. It calls `run(argument)`, which does not
// return, with all signals blocked. The caller has one thread. An error says what the machine's
// owner can do about it.
[[nodiscard]] Result<FirstProcess> BearFirst(int group, Network network, void (*run)(const void*),
                                             const void* argument);

// The caller by his own number; root's is an ordinary one inside, so that no program tries what
// only root can. Files that the command makes are the caller's, outside.
[[nodiscard]] Identity IdentityOf(uid_t uid, gid_t gid);

// By whoever is in a new user namespace, while the host's /proc is still there.
[[nodiscard]] Status MapIdentity(const Identity& identity, uid_t outer_uid, gid_t outer_gid);
[[nodiscard]] Status RaiseLoopback();
// In its own control groups, which then are the top of what can be seen of them.
[[nodiscard]] Status HideGroups();
[[nodiscard]] Status NameHost();

// The namespaces of a process, for who enters them.
struct Doors {
  OwnedFd user;
  OwnedFd net;
};
[[nodiscard]] Result<Doors> OpenDoors(pid_t pid);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_NAMESPACES_H_
