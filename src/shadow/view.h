#ifndef CORDON_SHADOW_VIEW_H_
#define CORDON_SHADOW_VIEW_H_

// What a wall needs of a shadow: the directory that its command works in, as a mount.
//
//   const Result<View> view = View::Open(store, id);       // outside: takes the lock
//   const Result<OwnedFd> mount = view->MakeMount();       // inside the new mount namespace
//   move_mount(mount->get(), "", place, "", MOVE_MOUNT_F_EMPTY_PATH | …);
//
// The view must live as long as the command: it holds the lock that keeps commits away.

#include <string>

#include "base/error.h"
#include "base/owned_fd.h"
#include "shadow/store.h"

namespace cordon::shadow {

class View {
 public:
  [[nodiscard]] static Result<View> Open(const Store& store, const std::string& id);

  [[nodiscard]] const ShadowInfo& info() const { return shadow_.info(); }
  // A mount that is nowhere yet: no set-id programs, no devices. By a process with rights over its
  // mount namespace, whose mounts must be private, while the host's tree is still there (before
  // pivot_root). Needs no /proc. Changes nothing of the process but, for a moment, its directory.
  [[nodiscard]] Result<OwnedFd> MakeMount() const;

 private:
  explicit View(Shadow shadow) : shadow_(std::move(shadow)) {}
  Shadow shadow_;
};

// The overlay of `folder`/upper (with `folder`/work) over the directory `below`.
[[nodiscard]] Result<OwnedFd> MakeOverlay(const std::string& folder, const std::string& below);

// An error, with the reason, where a command in a user namespace of its own could not work on an
// overlay over `workspace` that is kept in `folder`. Everything that diffs rely on is tried there,
// by a child process; `folder` is empty before and after.
[[nodiscard]] Status ProbeOverlay(const std::string& folder, const std::string& workspace);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_VIEW_H_
