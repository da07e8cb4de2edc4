#ifndef CORDON_SHADOW_COMMIT_H_
#define CORDON_SHADOW_COMMIT_H_

// From a shadow to the workspace: all of what was asked for, or nothing.
//
// In order: look, judge, compare with the workspace, ask; journal; new nodes into a staging
// directory of the workspace; journal with their numbers; the steps; the new base; journal says
// done; the old nodes go, the staging directory, the journal. Whatever happens before "done" is
// taken back, at once or by the next start.

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "shadow/report.h"
#include "shadow/store.h"

namespace cordon::shadow {

struct CommitRequest {
  std::vector<std::string> paths;  // relative to the workspace; none is everything
  std::vector<std::string> force;  // paths whose conflicts are overruled, with what is below
  bool skips_refused = false;      // commits the rest instead of nothing
  bool is_dry = false;
  OnPath on_path;
  // Gets the report, as JSON, of exactly what is going to be committed; an error is a no.
  std::function<Status(const std::string& report)> approve;
  // Called before and after everything that changes a disk. For tests that end the process there.
  std::function<void(const char* what)> checkpoint;
};

struct CommitResult {
  Report report;  // what was selected, with refusals and conflicts
  bool is_done = false;
};

// The shadow must be open for it alone. An error means that nothing was changed, or says what was.
[[nodiscard]] Result<CommitResult> Commit(const Shadow& shadow, const CommitRequest& request);

// After a crash: takes back what was begun, or finishes what was decided. Lines for the user about
// what could not be put back because somebody changed it meanwhile; none if there is no journal.
[[nodiscard]] Result<std::vector<std::string>> Recover(const Shadow& shadow);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_COMMIT_H_
