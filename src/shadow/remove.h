#ifndef CORDON_SHADOW_REMOVE_H_
#define CORDON_SHADOW_REMOVE_H_

// Removing a tree that may be hostile.

#include <string>

#include "base/error.h"

namespace cordon::shadow {

// A removal goes on in a directory with this at the end of its name.
inline constexpr const char* kRemovalSuffix = ".gone";

// The directory `name` in `folder`, with everything in it: directories without any rights, names of
// any bytes, deeper than a path can be. Links are removed and never followed; mount points are not
// entered and make it fail. Few descriptors at a time and no recursion. `folder` must be nobody
// else's. Fine if there is nothing.
[[nodiscard]] Status RemoveTree(int folder, const std::string& name);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_REMOVE_H_
