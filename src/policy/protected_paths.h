#ifndef CORDON_POLICY_PROTECTED_PATHS_H_
#define CORDON_POLICY_PROTECTED_PATHS_H_

// Files of a workspace that the host would execute later, or obey.

#include <span>
#include <string>
#include <string_view>

#include "policy/plan.h"

namespace cordon::policy {

struct ProtectedPath {
  std::string_view path;  // inside the workspace; what is below it is meant too
  NodeType type;          // what stands in its place where it is not there
  std::string_view why;
  std::string_view text;  // what that holds
};

// At the root of a workspace; those below `.git` hold for every `.git` in it.
[[nodiscard]] std::span<const ProtectedPath> ProtectedPaths();

// `path`, below a directory that git takes for a repository, is one that git obeys, or in one: why.
// Otherwise empty.
[[nodiscard]] std::string ProtectedInRepository(std::string_view path);

// Empty if nothing of what `path` covers is protected; otherwise why it is.
[[nodiscard]] std::string ProtectedReason(std::string_view path);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_PROTECTED_PATHS_H_
