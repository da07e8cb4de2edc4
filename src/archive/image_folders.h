#ifndef CORDON_ARCHIVE_IMAGE_FOLDERS_H_
#define CORDON_ARCHIVE_IMAGE_FOLDERS_H_

// A folder of the host whose folders are images: one for each name under which something is saved.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace cordon::archive {

struct SavedImage {
  std::string name;
  uint64_t bytes = 0;  // on the disk
  std::chrono::system_clock::time_point saved;
  bool is_open = false;  // somebody of this PID namespace has it
};

// In the order of their names. Left out are other users' folders and those that hold no image. None
// of them is locked meanwhile: whoever opens one then has it. A folder that is not there is empty.
[[nodiscard]] Result<std::vector<SavedImage>> ListImageFolders(const std::string& path);
// Removes one with all that ImageFolder puts there. Refused: one that somebody has open, one of
// another user. ENOENT: there is none.
[[nodiscard]] Status RemoveImageFolder(const std::string& path, const std::string& name);

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_IMAGE_FOLDERS_H_
