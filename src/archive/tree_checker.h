#ifndef CORDON_ARCHIVE_TREE_CHECKER_H_
#define CORDON_ARCHIVE_TREE_CHECKER_H_

// Decides what of an archive becomes part of a tree. Whoever read the archive is not believed.
// Refused are: paths that lead out of the tree, entries below a link of the archive, hard links to
// what the archive has not brought before, bytes beyond a file's size, and more than the limits.
// Devices are left out and reported.

#include <map>
#include <string>

#include "archive/entry.h"
#include "archive/raw_entry.h"

namespace cordon::archive {

class TreeChecker final : public RawVisitor {
 public:
  TreeChecker(const TreeLimits& limits, EntryVisitor& visitor, Skipped* skipped)
      : limits_(limits), visitor_(visitor), skipped_(*skipped) {}
  Status Begin(const RawEntry& raw) override;
  Status Data(uint64_t offset, std::span<const std::byte> bytes) override;
  Status End() override;

 private:
  // What stands in the way of an entry, by what the archive itself has brought.
  [[nodiscard]] Status CheckPlace(const Entry& entry) const;
  [[nodiscard]] Status Count(const Entry& entry);

  TreeLimits limits_;
  EntryVisitor& visitor_;
  Skipped& skipped_;
  std::map<std::string, Kind> kinds_;
  uint64_t entries_ = 0;
  uint64_t bytes_ = 0;
  size_t name_bytes_ = 0;
  Entry entry_;
  bool is_taken_ = false;
  uint64_t at_ = 0;  // in the entry's bytes
};

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_TREE_CHECKER_H_
