#ifndef CORDON_LIVE_HOST_DIRECTORY_H_
#define CORDON_LIVE_HOST_DIRECTORY_H_

// A directory of the host, as a sandbox's file server sees it. Whoever asks may be hostile, and so
// may the directory: every path is opened beneath the directory's descriptor, no link is followed
// in any component, mounts below are not entered, and nothing but files, directories and links
// themselves is touched. A link's target is told and not followed; in the sandbox it leads to
// something in the sandbox.

#include <cstdint>
#include <list>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/owned_fd.h"
#include "kernel/control.h"

namespace cordon::live {

// "", "a", "a/b": no empty component, `.` or `..`, no zero byte.
[[nodiscard]] bool IsServedPath(std::string_view path);

struct FileRequest {
  control::FileOp op = control::FileOp::kStat;
  std::string path;    // checked
  std::string second;  // of kRename, checked; of kSymlink, any text
  uint64_t offset = 0;
  uint64_t argument = 0;
  uint32_t count = 0;  // at most kFileCallBytes
};

struct FileReply {
  int64_t result = 0;  // or -errno
  uint64_t offset = 0;
};

class HostDirectory {
 public:
  enum class Rights { kRead, kReadWrite };
  // `path` is the client's, whose links are followed.
  [[nodiscard]] static Result<HostDirectory> Open(const std::string& path, Rights rights);

  // `data` has control::kFileCallBytes: what is written, then what is read.
  [[nodiscard]] FileReply Answer(const FileRequest& request, uint8_t* data);

 private:
  struct OpenFile {
    std::string path;
    bool writes;
    OwnedFd fd;
    int64_t until_ns;  // looked up anew then
  };

  HostDirectory(OwnedFd root, Rights rights) : root_(std::move(root)), rights_(rights) {}

  [[nodiscard]] int OpenPath(const std::string& path, uint64_t flags) const;
  // The directory that a path is in, and its last name; -EINVAL for the root.
  [[nodiscard]] int OpenParent(const std::string& path, std::string* name) const;
  // A regular file; -errno. The descriptor stays ours.
  [[nodiscard]] int Contents(const std::string& path, bool writes);
  void Forget();

  [[nodiscard]] int64_t Stat(const std::string& path, uint8_t* data) const;
  [[nodiscard]] int64_t ReadLink(const std::string& path, uint8_t* data) const;
  [[nodiscard]] int64_t List(const FileRequest& request, uint8_t* data) const;
  [[nodiscard]] int64_t Space(uint8_t* data) const;
  [[nodiscard]] FileReply Write(const FileRequest& request, const uint8_t* data);
  [[nodiscard]] int64_t Create(const FileRequest& request) const;
  [[nodiscard]] int64_t Rename(const FileRequest& request);
  [[nodiscard]] int64_t Remove(const FileRequest& request);
  [[nodiscard]] int64_t SetMode(const FileRequest& request);
  [[nodiscard]] int64_t SetTimes(const FileRequest& request) const;
  [[nodiscard]] FileReply Change(const FileRequest& request, const uint8_t* data);

  OwnedFd root_;
  Rights rights_;
  std::list<OpenFile> open_;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_HOST_DIRECTORY_H_
