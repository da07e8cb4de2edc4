#ifndef CORDON_SHADOW_JOURNAL_H_
#define CORDON_SHADOW_JOURNAL_H_

// What a commit does, written before it is done. Every step is one call that happens or does not,
// and leaves both nodes, the old and the new one, in a staging directory of the workspace or in
// their place; so whoever comes later can see from inode numbers which steps were taken, and take
// them back.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "shadow/node.h"

namespace cordon::shadow {

enum class StepKind {
  kAdd,      // the slot's node gets the name
  kReplace,  // the slot's node and the one with the name change places
  kRemove,   // the node with the name goes into the slot
  kMode,     // the node with the name gets another mode
};

// The slot is named after the step's number.
struct Step {
  StepKind kind = StepKind::kAdd;
  std::string path;
  uint64_t new_inode = 0;  // of an add or a replace
  uint64_t old_inode = 0;  // of the others and a replace
  uint32_t old_mode = 0;   // of kMode
  uint32_t new_mode = 0;
  int64_t mtime_ns = 0;  // of a directory whose time is set with its mode
  bool sets_time = false;
  std::optional<Sha256::Digest> new_sha256;  // of a file's contents
};

enum class Phase {
  kStaging,   // nothing of the workspace was touched but that the staging directory may be there
  kApplying,  // some steps were taken
  kApplied,   // all were; the rest is tidying up
};

struct Journal {
  Phase phase = Phase::kStaging;
  std::string staging;  // its name in the workspace
  uint64_t staging_inode = 0;
  std::vector<Step> steps;
};

[[nodiscard]] std::string WriteJournal(const Journal& journal);
[[nodiscard]] Result<Journal> ReadJournal(std::string_view bytes, const std::string& file);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_JOURNAL_H_
