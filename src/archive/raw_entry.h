#ifndef CORDON_ARCHIVE_RAW_ENTRY_H_
#define CORDON_ARCHIVE_RAW_ENTRY_H_

// What an archive says of a file, as whoever parses it understood it: nothing of it is decided yet.
// TreeChecker makes entries of it, or refuses.

#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"

namespace cordon::archive {

enum class RawKind : uint32_t { kFile, kDirectory, kSymlink, kHardLink, kFifo, kOther };

struct RawEntry {
  RawKind kind = RawKind::kFile;
  uint32_t permissions = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t size = 0;
  int64_t mtime_seconds = 0;
  int64_t mtime_nanoseconds = 0;
  std::string path;
  std::string target;  // of a link
};

// Entries in the archive's order; the bytes of one come between its Begin and its End.
class RawVisitor {
 public:
  virtual ~RawVisitor() = default;
  [[nodiscard]] virtual Status Begin(const RawEntry& entry) = 0;
  [[nodiscard]] virtual Status Data(uint64_t offset, std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual Status End() = 0;
  // Something is still done, where nothing else is to be said: of what is taken out whole, so many
  // bytes are there.
  [[nodiscard]] virtual Status Alive(uint64_t /*bytes*/) { return {}; }
};

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_RAW_ENTRY_H_
