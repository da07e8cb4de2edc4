#ifndef CORDON_FILE_SYSTEM_H_
#define CORDON_FILE_SYSTEM_H_

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cordon/results.h"

namespace cordon {

struct FileStat {
  FileInfo::Type type = FileInfo::Type::kFile;  // not kOther
  uint64_t size = 0;
  std::optional<uint32_t>
      mode;              // permissions; unset: 0644, 0755, without w where nothing is written
  int64_t mtime_ns = 0;  // since 1970
};

struct DirectoryEntry {
  std::string name;
  FileInfo::Type type = FileInfo::Type::kFile;
};

// A file system that this program has, for Sandbox::Mount. Paths are relative to where it is
// mounted, without a slash in front; "" is the directory itself. They are what a guest says: treat
// them as a web server does.
//
// An error's `system_errno` is what the sandbox's program gets, EIO where there is none: `return
// SystemError(path, ENOENT);`. What is not overridden is ENOSYS. Methods of one object are called
// one at a time, whichever sandbox or fork asks, on threads of the connection, whose end waits for
// them; nothing but `timeout_ms` of the mount bounds how long they may take.
class FileSystem {
 public:
  FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  virtual ~FileSystem() = default;

  // Of the path itself: links are not followed.
  [[nodiscard]] virtual Result<FileStat> Stat(const std::string& path) = 0;
  // All of it, without "." and "..", in any order.
  [[nodiscard]] virtual Result<std::vector<DirectoryEntry>> List(const std::string& path) = 0;
  // Fewer bytes than asked for only at the end; at most 1 MiB is asked for.
  [[nodiscard]] virtual Result<std::string> Read(const std::string& path, uint64_t offset,
                                                 uint32_t length) = 0;
  [[nodiscard]] virtual Result<std::string> ReadLink(const std::string& path) {
    return NotImplemented(path);
  }

  // Of what is mounted writable alone. How many were written.
  [[nodiscard]] virtual Result<uint32_t> Write(const std::string& path, uint64_t /*offset*/,
                                               std::string_view /*bytes*/) {
    return NotImplemented(path);
  }
  [[nodiscard]] virtual Status Truncate(const std::string& path, uint64_t /*size*/) {
    return NotImplemented(path);
  }
  // A file that is not there yet.
  [[nodiscard]] virtual Status Create(const std::string& path, uint32_t /*mode*/) {
    return NotImplemented(path);
  }
  [[nodiscard]] virtual Status MakeDirectory(const std::string& path, uint32_t /*mode*/) {
    return NotImplemented(path);
  }
  [[nodiscard]] virtual Status Symlink(const std::string& /*target*/, const std::string& path) {
    return NotImplemented(path);
  }
  [[nodiscard]] virtual Status Unlink(const std::string& path) { return NotImplemented(path); }
  [[nodiscard]] virtual Status RemoveDirectory(const std::string& path) {
    return NotImplemented(path);
  }
  // Replaces what is there.
  [[nodiscard]] virtual Status Rename(const std::string& from, const std::string& /*to*/) {
    return NotImplemented(from);
  }
  [[nodiscard]] virtual Status Chmod(const std::string& path, uint32_t /*mode*/) {
    return NotImplemented(path);
  }
  [[nodiscard]] virtual Status SetTimes(const std::string& path, int64_t /*atime_ns*/,
                                        int64_t /*mtime_ns*/) {
    return NotImplemented(path);
  }

 private:
  static std::unexpected<Error> NotImplemented(const std::string& path) {
    return SystemError(path, ENOSYS);
  }
};

}  // namespace cordon

#endif  // CORDON_FILE_SYSTEM_H_
