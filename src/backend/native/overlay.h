#ifndef CORDON_BACKEND_NATIVE_OVERLAY_H_
#define CORDON_BACKEND_NATIVE_OVERLAY_H_

// Names in a directory of the host that are not there: such that must not come into being, and such
// that the command may make. Both stand in a layer in memory under or over the host's directory, so
// that nothing of them is ever in the host's tree.
//
// Writable: the host's directory is the upper layer. What the command makes, changes and removes is
// the host's own; a name that must not be made is seen from the layer below, and a mount that is
// placed on it keeps it from being written, removed or renamed over. A pipe holds the place of a
// file: programs that list a directory do not take it for something of the project.
//
// Read-only: the host's directory is the lower of two layers. A file that may be made is a link to
// where it can be, which leads nowhere until somebody makes the file through it.

#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"
#include "policy/plan.h"

namespace cordon::backend::native {

// Where the command makes the files that are taken over: number N of them is N/NAME in it.
inline constexpr const char* kStagedFolder = "/run/cordon-staged";

// The files of a plan that may be made although their directory is read-only, in their order.
[[nodiscard]] std::vector<const policy::Mount*> StagedFiles(const policy::Plan& plan);
// Where number `number` of them is, below kStagedFolder.
[[nodiscard]] std::string StagedPath(const policy::Mount& mount, size_t number);

enum class Layers {
  kNone,      // a bind is all
  kWritable,  // the overlay needs a folder to work in
  kReadOnly,
};
// What a bind of the plan needs to be made of.
[[nodiscard]] Layers LayersOf(const policy::Plan& plan, const policy::Mount& bind);

// The workspace of a plan with a shadow: what is bound is a view of it.
[[nodiscard]] bool IsView(const policy::Plan& plan, const policy::Mount& bind);

// The detached mount. `stage`: a directory in memory where something can be mounted for a while,
// and its path. The process's working directory is another afterwards.
struct OverlayRequest {
  const policy::Plan& plan;
  const policy::Mount& bind;
  int source;  // the host's directory
  std::string stage;
  std::string work_folder;  // of a writable one; on the mount that the host's directory is on
};
[[nodiscard]] Result<OwnedFd> MakeOverlay(const OverlayRequest& request);

// The kernel marks directories that it laid over others with attributes. An old mark would hide
// what is below, so they go before an overlay is made of its directories and after it has gone.
void RemoveMarks(const policy::Plan& plan, const policy::Mount& bind);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_OVERLAY_H_
