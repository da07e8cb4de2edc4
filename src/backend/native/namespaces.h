#ifndef CORDON_BACKEND_NATIVE_NAMESPACES_H_
#define CORDON_BACKEND_NATIVE_NAMESPACES_H_

#include <sched.h>

#include "backend/native/generated_files.h"
#include "base/error.h"

namespace cordon::backend::native {

// Everything has a user namespace, root's too: no capability that could be left over in it is one
// over the host. That of processes begins with the first of them.
inline constexpr unsigned long kNamespaceFlags =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;

// The caller by his own number; root's is an ordinary one inside, so that no program tries what
// only root can. Files that the command makes are the caller's, outside.
[[nodiscard]] Identity IdentityOf(uid_t uid, gid_t gid);

// By whoever is in a new user namespace, while the host's /proc is still there.
[[nodiscard]] Status MapIdentity(const Identity& identity, uid_t outer_uid, gid_t outer_gid);
// In its own control groups, which then are the top of what can be seen of them.
[[nodiscard]] Status HideGroups();
[[nodiscard]] Status NameHost();

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_NAMESPACES_H_
