#ifndef CORDON_BACKEND_NATIVE_LANDLOCK_H_
#define CORDON_BACKEND_NATIVE_LANDLOCK_H_

#include "base/error.h"
#include "policy/plan.h"

namespace cordon::backend::native {

// A second barrier behind the mounts: writing only where the plan says so, whatever becomes of a
// mount's flags; no abstract socket and no signal to what is outside. In the new root. Kernels
// without Landlock have the mounts alone.
[[nodiscard]] Status RestrictFiles(const policy::Plan& plan);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_LANDLOCK_H_
