#ifndef CORDON_BACKEND_NATIVE_SKELETON_H_
#define CORDON_BACKEND_NATIVE_SKELETON_H_

// What of a plan's root is no mount: its directories, links and short files, and the names that
// mounts are placed on. It is the same for all plans with one description, so it can be kept.

#include <optional>
#include <string>
#include <vector>

#include "backend/native/generated_files.h"
#include "base/error.h"
#include "base/owned_fd.h"
#include "policy/plan.h"

namespace cordon::backend::native {

// Of each mount of the plan, in its order: whether MakeSkeleton makes it, or the name that it is
// placed on. The others are in what is mounted before them, or may not come to be.
[[nodiscard]] std::vector<bool> InSkeleton(const policy::Plan& plan);

// Makes it in `root`, which is empty. The caller has no umask.
[[nodiscard]] Status MakeSkeleton(const OwnedFd& root, const policy::Plan& plan,
                                  const Identity& identity);

// Everything that it depends on: names, texts, and of the host's files that are copied which they
// are and when they were changed. Nothing if it cannot be said, or if a file was changed so
// recently that the same moment could hold another change.
[[nodiscard]] std::optional<std::string> DescribeSkeleton(const policy::Plan& plan,
                                                          const Identity& identity);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_SKELETON_H_
