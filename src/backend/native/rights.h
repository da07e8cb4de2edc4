#ifndef CORDON_BACKEND_NATIVE_RIGHTS_H_
#define CORDON_BACKEND_NATIVE_RIGHTS_H_

#include "base/error.h"
#include "policy/plan.h"

namespace cordon::backend::native {

// No capability in any set, and none to be had by executing something.
[[nodiscard]] Status DropCapabilities();

// Limits of each process. Those of all processes together are the control group's; `alone` says
// that there is none.
enum class Alone { kNo, kYes };
[[nodiscard]] Status SetResourceLimits(const policy::LimitPlan& limits, Alone alone);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_RIGHTS_H_
