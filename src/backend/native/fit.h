#ifndef CORDON_BACKEND_NATIVE_FIT_H_
#define CORDON_BACKEND_NATIVE_FIT_H_

#include "base/error.h"
#include "policy/plan.h"

namespace cordon::backend::native {

// Whether this version of the wall enforces all of a plan; if not, what it lacks.
[[nodiscard]] Status CheckFits(const policy::Plan& plan);

// Whether the plan's network is the gateway's; if not, there is none.
[[nodiscard]] bool HasGateway(const policy::Plan& plan);

// The mount made before the first `count` of the plan's whose target is `path` or above it; null if
// that is the wall's own root.
[[nodiscard]] const policy::Mount* FindCovering(const policy::Plan& plan, size_t count,
                                                const std::string& path);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_FIT_H_
