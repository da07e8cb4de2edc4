#ifndef CORDON_BACKEND_NATIVE_FOLDERS_H_
#define CORDON_BACKEND_NATIVE_FOLDERS_H_

#include <string>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::backend::native {

// Directories of a tree that is being made, by their paths in it. One stays open, because what
// follows is mostly in the same.
class Folders {
 public:
  // The tree; open as long as this is used.
  explicit Folders(int root) : root_(root) {}

  // Made if it is missing, with everything above it. Valid until the next call.
  [[nodiscard]] Result<int> Open(const std::string& path);
  // Another directory may have that name now.
  void Forget(const std::string& path);

 private:
  int root_;
  std::string path_;
  OwnedFd open_;
};

// "/a/b" as seen from the tree's root, and the parts of a path.
[[nodiscard]] std::string Inner(const std::string& path);
[[nodiscard]] std::string ParentOf(const std::string& path);
[[nodiscard]] std::string NameOf(const std::string& path);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_FOLDERS_H_
