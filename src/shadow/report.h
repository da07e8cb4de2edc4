#ifndef CORDON_SHADOW_REPORT_H_
#define CORDON_SHADOW_REPORT_H_

// Changes for people, and for programs.

#include <optional>
#include <string>
#include <vector>

#include "shadow/changes.h"
#include "shadow/store.h"
#include "shadow/verdict.h"

namespace cordon::shadow {

struct ReportedChange {
  Change change;
  Verdict verdict;
  std::string conflict;             // with the workspace as it is now; only where it was asked for
  std::optional<std::string> text;  // unified, without the lines that name the files
  std::string no_text;              // why there is none: "binary", "larger than 1 MiB", …
};

struct Report {
  ShadowInfo info;
  std::vector<ReportedChange> changes;
  std::vector<NotImported> not_imported;
};

enum class Texts { kNo, kYes };
// With texts of at most 16 MiB together; beyond that each change says that its text is left out.
[[nodiscard]] Report MakeReport(const ShadowInfo& info, const Sides& sides, ChangeSet set,
                                Texts texts);

struct Tally {
  size_t adds = 0;
  size_t modifies = 0;
  size_t deletes = 0;
};
[[nodiscard]] Tally Count(const Report& report);
// "+A ~M -D".
[[nodiscard]] std::string TallyText(const Tally& tally);

// What cannot be drawn is escaped; with `is_raw`, contents are as they are, for `patch`.
[[nodiscard]] std::string ReportText(const Report& report, bool is_raw);
[[nodiscard]] std::string ReportJson(const Report& report);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_REPORT_H_
