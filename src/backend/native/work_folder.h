#ifndef CORDON_BACKEND_NATIVE_WORK_FOLDER_H_
#define CORDON_BACKEND_NATIVE_WORK_FOLDER_H_

// An overlay over a directory of the host moves what it makes from a folder of its own on the same
// mount. That folder is Cordon's, never in the workspace, and gone afterwards.

#include <string>
#include <vector>

#include "base/error.h"

namespace cordon::backend::native {

class WorkFolder {
 public:
  // In the first of `homes` that is on the mount of `directory`; those that end in a slash are
  // made.
  [[nodiscard]] static Result<WorkFolder> Make(const std::string& directory,
                                               const std::vector<std::string>& homes);
  WorkFolder(WorkFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  WorkFolder& operator=(WorkFolder&&) = delete;
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  ~WorkFolder();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit WorkFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_WORK_FOLDER_H_
