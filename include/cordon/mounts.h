#ifndef CORDON_MOUNTS_H_
#define CORDON_MOUNTS_H_

// What a sandbox sees that is not its own.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "cordon/file_system.h"

namespace cordon {

// As it is at every moment. No link in it leads out of the sandbox.
struct HostDirectory {
  std::string path;  // absolute
  bool writable = false;
};

// By paths below the mount. Those that are writable are the sandbox's own from then on; others
// nobody there can change (EROFS).
struct MemoryFiles {
  std::map<std::string, std::string> files;
  bool writable = false;
};

struct ServedFiles {
  std::shared_ptr<FileSystem> files;  // held until the connection ends
  bool writable = false;
  std::optional<int64_t> timeout_ms;  // of an answer, then EIO: 10 000 at most, and if unset
  std::optional<int64_t> cache_ms;    // for which answers are believed; unset: not at all
};

using MountSource = std::variant<HostDirectory, MemoryFiles, ServedFiles>;

struct Mount {
  std::string path;  // in the sandbox
  MountSource source;
};

}  // namespace cordon

#endif  // CORDON_MOUNTS_H_
