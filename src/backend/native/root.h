#ifndef CORDON_BACKEND_NATIVE_ROOT_H_
#define CORDON_BACKEND_NATIVE_ROOT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "backend/native/generated_files.h"
#include "backend/native/prepared_root.h"
#include "base/error.h"
#include "base/owned_fd.h"
#include "policy/plan.h"

namespace cordon::backend::native {

struct RootRequest {
  const policy::Plan& plan;
  const Identity& identity;
  std::optional<uint64_t> memory_bytes;  // of all files in memory together
  std::string work_folder;               // for overlays; empty if the plan needs none
  const std::function<Result<OwnedFd>()>& workspace_view;  // of a plan with a shadow
  const PreparedRoot* prepared;  // null: what of the root is no mount is made in memory
};

// Makes the plan's mounts on a skeleton (skeleton.h) and that the root; nothing of the host's tree
// is left. By the first process of a new mount namespace. Gives the folder of files that are taken
// over afterwards, if the plan has any.
[[nodiscard]] Result<OwnedFd> BuildRoot(const RootRequest& request);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_ROOT_H_
