#ifndef CORDON_BACKEND_NATIVE_DEVICES_H_
#define CORDON_BACKEND_NATIVE_DEVICES_H_

#include "base/error.h"

namespace cordon::backend::native {

// Memory of several processes, in /dev: a directory of its own, which the caller places.
inline constexpr const char* kSharedMemory = "shm";

// Makes the names of /dev in an empty directory: places for what is mounted, and the usual links.
[[nodiscard]] Status MakeDevNames(int folder);

// Mounts there the devices that every program may have, and the terminals of this sandbox alone.
[[nodiscard]] Status FillDev(int folder);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_DEVICES_H_
