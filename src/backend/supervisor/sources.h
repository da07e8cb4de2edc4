#ifndef CORDON_BACKEND_SUPERVISOR_SOURCES_H_
#define CORDON_BACKEND_SUPERVISOR_SOURCES_H_

// What of the host a plan binds, opened as the native wall does: beneath the workspace where the
// plan says so, following no link there.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/error.h"
#include "base/owned_fd.h"
#include "policy/plan.h"

namespace cordon::backend {

// A descriptor of the file or directory (O_PATH); nothing where it is to be left out. A directory
// that the plan lets come into being is there afterwards.
[[nodiscard]] Result<std::optional<OwnedFd>> OpenSource(const policy::Mount& mount);
// The same for a directory of the plan's source below a writable bind: `inner` is relative.
[[nodiscard]] Result<OwnedFd> OpenInside(const OwnedFd& source, const std::string& inner);

// The directories between a writable bind and what is covered below it, outermost first, relative
// to the bind; a rename of one of them would give what is covered another name.
struct Pin {
  const policy::Mount* bind;
  std::string inner;
};
[[nodiscard]] std::vector<Pin> PinsOf(const policy::Plan& plan, size_t index);

// What no wall of another program enforces: errors name the wall.
[[nodiscard]] Status CheckCommon(const policy::Plan& plan, policy::Wall wall, const char* name);

// With the values of secret variables replaced: to be shown.
[[nodiscard]] policy::Plan WithoutSecrets(policy::Plan plan);

// The commands that a plan runs before its own, each behind a wall of its own on the same
// workspace, then that one; the first that fails is the end.
[[nodiscard]] Result<PlanReport> RunInOrder(
    const policy::Plan& plan, const std::vector<std::string>& command,
    const std::function<Result<PlanReport>(const std::vector<std::string>&)>& run);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_SUPERVISOR_SOURCES_H_
