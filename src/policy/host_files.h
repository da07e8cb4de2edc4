#ifndef CORDON_POLICY_HOST_FILES_H_
#define CORDON_POLICY_HOST_FILES_H_

// Looking at the host's files while planning. What lies in a workspace may be hostile: it is opened
// beneath the workspace's descriptor, component by component, and no link is followed.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::policy {

// Regular files only: a pipe or a device would wait for ever. Links are followed: for paths that
// the user or the machine chose.
[[nodiscard]] Result<std::string> ReadHostFile(const std::string& path, size_t max_bytes);

enum class Found { kMissing, kFile, kDirectory, kLink, kOther };
[[nodiscard]] Found Inspect(const std::string& path);  // of the path itself, a link is kLink
struct Looked {
  Found found = Found::kMissing;
  uint64_t size_bytes = 0;  // of a file
};
[[nodiscard]] Looked Look(const std::string& path);           // the same, and how large it is
[[nodiscard]] std::string RealPath(const std::string& path);  // empty if there is none
// The longest part of `path` that is there, by its real name, with the rest.
[[nodiscard]] std::string RealPrefix(const std::string& path);

class Beneath {
 public:
  // The directory itself may be reached through links.
  [[nodiscard]] static Result<Beneath> Open(const std::string& directory);

  // kLink if any component is one.
  [[nodiscard]] Found Inspect(const std::vector<std::string>& components) const;
  [[nodiscard]] Result<std::string> Read(const std::vector<std::string>& components,
                                         size_t max_bytes) const;
  [[nodiscard]] int get() const { return directory_.get(); }

 private:
  explicit Beneath(OwnedFd directory) : directory_(std::move(directory)) {}
  OwnedFd directory_;
};

}  // namespace cordon::policy

#endif  // CORDON_POLICY_HOST_FILES_H_
