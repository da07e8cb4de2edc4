#ifndef CORDON_BASE_NEW_FILE_H_
#define CORDON_BASE_NEW_FILE_H_

// A file of a folder that gets its name when it is whole: whoever is killed before leaves nothing
// behind, where the file system has files without names (O_TMPFILE), and otherwise a name with a
// dot.

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon {

class NewFile {
 public:
  // For this user alone (0600), to be written. `folder` is used until the file has its name.
  [[nodiscard]] static Result<NewFile> In(int folder);
  ~NewFile();
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;

  [[nodiscard]] int fd() const { return fd_.get(); }
  // EEXIST: there is one of that name, and it stays. One of these is called, once.
  [[nodiscard]] Status Name(const std::string& name);
  // In place of what is there. At every moment the one or the other has the name.
  [[nodiscard]] Status Replace(const std::string& name);

 private:
  NewFile(int folder, OwnedFd fd, std::string temporary)
      : folder_(folder), fd_(std::move(fd)), temporary_(std::move(temporary)) {}

  int folder_;
  OwnedFd fd_;
  std::string temporary_;  // its name until then, where it has one
};

// A file with these bytes in place of what is there; on the disk when this returns. At every moment
// the one or the other has the name.
[[nodiscard]] Status ReplaceFile(int folder, const std::string& name, std::string_view bytes,
                                 mode_t mode);
[[nodiscard]] Status ReplaceFile(const std::string& path, std::string_view bytes, mode_t mode);

}  // namespace cordon

#endif  // CORDON_BASE_NEW_FILE_H_
