#include "backend/native/folders.h"

#include <sys/types.h>

#include <algorithm>

#include "backend/native/mount_calls.h"
#include "policy/surroundings.h"

namespace cordon::backend::native {
namespace {

constexpr mode_t kFolderMode = 0755;

}  // namespace

Result<int> Folders::Open(const std::string& path) {
  if (path.empty()) return root_;
  if (path == path_) return open_.get();
  // With a mode that lets the command in: whoever makes a tree has no mask.
  Result<OwnedFd> made = MakeDirectories(root_, Inner(path), kFolderMode);
  if (!made) return std::unexpected(made.error());
  open_ = std::move(*made);
  path_ = path;
  return open_.get();
}

void Folders::Forget(const std::string& path) {
  if (policy::IsWithin(path_, path)) path_.clear();
}

std::string Inner(const std::string& path) {
  return path.substr(std::min(path.find_first_not_of('/'), path.size()));
}

std::string ParentOf(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

std::string NameOf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace cordon::backend::native
