#ifndef CORDON_SHADOW_COPY_H_
#define CORDON_SHADOW_COPY_H_

// One file's contents and attributes from one descriptor to another.

#include <cstdint>
#include <string>

#include "base/error.h"
#include "shadow/node.h"

namespace cordon::shadow {

// Shares the blocks where the file system can, otherwise copies inside the kernel, otherwise by
// hand. Holes stay holes. `to` is empty.
[[nodiscard]] Status CopyContents(int from, int to, const std::string& name);

// Time of modification of `name` in `folder`, of the link itself if it is one.
[[nodiscard]] Status SetTime(int folder, const std::string& name, int64_t mtime_ns);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_COPY_H_
