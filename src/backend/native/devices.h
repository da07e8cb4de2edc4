#ifndef CORDON_BACKEND_NATIVE_DEVICES_H_
#define CORDON_BACKEND_NATIVE_DEVICES_H_

#include "base/error.h"

namespace cordon::backend::native {

// The devices that every program may have, the terminals of this sandbox alone, and the usual
// links; in a directory in memory that is to be /dev.
[[nodiscard]] Status FillDev(int folder);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_DEVICES_H_
