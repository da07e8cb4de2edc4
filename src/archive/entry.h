#ifndef CORDON_ARCHIVE_ENTRY_H_
#define CORDON_ARCHIVE_ENTRY_H_

// A file of a tree, on its way into an archive or out of one.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cordon::archive {

enum class Kind { kFile, kDirectory, kSymlink, kHardLink, kFifo };

struct Entry {
  Kind kind = Kind::kFile;
  std::string path;  // components with '/' between them, none of them "." or ".."; empty: the top
  uint32_t permissions = 0;  // the low twelve bits of a mode
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;  // of a file
  int64_t mtime_ns = 0;
  std::string target;  // of a link; of a hard link, a path as above
};

// What is made of an archive. The bytes of a file come between its Begin and its End, in ascending
// order, possibly with holes.
class EntryVisitor {
 public:
  virtual ~EntryVisitor() = default;
  [[nodiscard]] virtual Status Begin(const Entry& entry) = 0;
  [[nodiscard]] virtual Status Data(uint64_t offset, std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual Status End() = 0;
};

struct TreeLimits {
  uint64_t max_entries = 100'000;
  uint64_t max_bytes = uint64_t{256} << 20;  // of all files, unpacked, holes included
};

// Names of what was left out, with the reason. Only the first are kept.
class Skipped {
 public:
  void Add(const std::string& name, std::string_view reason);
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] uint64_t count() const { return count_; }

 private:
  std::vector<std::string> names_;
  uint64_t count_ = 0;
};

// The path as an Entry has it. Refuses what leads out of the tree: absolute paths, "..", names that
// no file system has.
[[nodiscard]] Result<std::string> CleanPath(std::string_view path);

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_ENTRY_H_
