#ifndef CORDON_BACKEND_NATIVE_ROOT_H_
#define CORDON_BACKEND_NATIVE_ROOT_H_

#include <cstdint>
#include <optional>

#include "backend/native/generated_files.h"
#include "base/error.h"
#include "policy/plan.h"

namespace cordon::backend::native {

// Makes the plan's mounts on an empty file system and that the root; nothing of the host's tree is
// left. By the first process of a new mount namespace. Files in memory take at most `memory_bytes`
// together.
[[nodiscard]] Status BuildRoot(const policy::Plan& plan, const Identity& identity,
                               std::optional<uint64_t> memory_bytes);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_ROOT_H_
