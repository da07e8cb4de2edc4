#include "shadow/commit.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "shadow/conflict.h"
#include "shadow/quote.h"
#include "shadow/transaction.h"

namespace cordon::shadow {
namespace {

bool IsFolder(const std::optional<Node>& node) {
  return node && node->type == NodeType::kDirectory;
}

bool IsBelowAny(const std::vector<std::string>& folders, const std::string& path) {
  return std::ranges::any_of(folders,
                             [&](const std::string& folder) { return IsAtOrBelow(path, folder); });
}

// --- what is committed ---

// What was named, and the directories that it needs.
Result<std::vector<Change>> Select(std::vector<Change> changes,
                                   const std::vector<std::string>& paths) {
  if (paths.empty()) return changes;
  for (const std::string& path : paths) {
    const bool is_there = std::ranges::any_of(
        changes, [&](const Change& change) { return IsAtOrBelow(change.path, path); });
    if (!is_there)
      return Fail(ErrorCode::kInvalid, "nothing has changed there in the shadow", QuoteName(path));
  }
  std::set<std::string> needed;
  for (const Change& change : changes) {
    if (!IsBelowAny(paths, change.path)) continue;
    for (std::string above = ParentOf(change.path); !above.empty(); above = ParentOf(above))
      needed.insert(above);
  }
  std::erase_if(changes, [&](const Change& change) {
    const bool makes_folder = change.kind != ChangeKind::kDelete && IsFolder(change.after) &&
                              (change.kind == ChangeKind::kAdd || !IsFolder(change.before));
    return !IsBelowAny(paths, change.path) && !(makes_folder && needed.contains(change.path));
  });
  return changes;
}

bool IsRefused(const ReportedChange& reported) {
  return !reported.verdict.refusal.empty();
}

void LiftNamed(const CommitRequest& request, Report* report) {
  const auto names = [&](const std::vector<std::string>& given, const Change& change) {
    return std::ranges::any_of(given, [&](const std::string& name) { return Names(name, change); });
  };
  for (ReportedChange& reported : report->changes) {
    if (!reported.verdict.yields_to_name) continue;
    if (!names(request.paths, reported.change) && !names(request.force, reported.change)) continue;
    reported.verdict.notes.push_back("named by you: it " + reported.verdict.refusal);
    reported.verdict.refusal.clear();
  }
}

// A directory cannot go while something in it stays.
void RefuseFoldersOfRefused(Report* report) {
  std::set<std::string> kept;
  for (const ReportedChange& reported : report->changes) {
    if (!IsRefused(reported) || reported.change.kind != ChangeKind::kDelete) continue;
    for (std::string above = ParentOf(reported.change.path); !above.empty();
         above = ParentOf(above)) {
      kept.insert(above);
    }
  }
  for (ReportedChange& reported : report->changes) {
    if (reported.change.kind == ChangeKind::kDelete && !IsRefused(reported) &&
        kept.contains(reported.change.path)) {
      reported.verdict.refusal = "has something in it that is not committed";
    }
  }
}

// --- how ---

struct Owner {
  uint32_t uid = 0;
  uint32_t gid = 0;
};

class Planner {
 public:
  Planner(const Sides& sides, const Report& report, const std::vector<RealState>& states)
      : sides_(sides), report_(report), states_(states) {}

  // Rights that are needed, then what goes, then what comes, then rights that forbid.
  Result<std::vector<PlannedStep>> Plan() {
    for (size_t i = 0; i < states_.size(); ++i) {
      if (states_[i].is_done) continue;
      if (const Status planned = PlanChange(report_.changes[i].change, states_[i]); !planned)
        return std::unexpected(planned.error());
    }
    std::ranges::reverse(removals_);
    std::ranges::reverse(finals_);
    std::vector<PlannedStep> steps = std::move(rights_);
    for (std::vector<PlannedStep>* part : {&removals_, &additions_, &finals_})
      std::ranges::move(*part, std::back_inserter(steps));
    return steps;
  }

 private:
  Status PlanChange(const Change& change, const RealState& state) {
    if (change.kind == ChangeKind::kDelete) {
      Widen(change, *state.stat);
      removals_.push_back(MakeStep(StepKind::kRemove, change, state));
      return {};
    }
    const bool is_file_with_mode = change.after->type == NodeType::kFile &&
                                   !change.content_differs && change.kind == ChangeKind::kModify &&
                                   state.conflict.empty();
    const bool is_same_folder = state.stat && IsFolder(state.stat->node) && IsFolder(change.after);
    if (state.stat && (is_file_with_mode || is_same_folder)) {
      PlanMode(change, state);
      return {};
    }
    PlannedStep step = MakeStep(state.stat ? StepKind::kReplace : StepKind::kAdd, change, state);
    CORDON_TRY(FindOwner(change, state, &step));
    additions_.push_back(std::move(step));
    if (IsFolder(change.after)) PlanNewFolder(change);
    return {};
  }

  static PlannedStep MakeStep(StepKind kind, const Change& change, const RealState& state) {
    PlannedStep planned;
    planned.step.kind = kind;
    planned.step.path = change.path;
    planned.change = &change;
    planned.expected = state.stat;
    if (state.stat) planned.step.old_inode = state.stat->identity.inode;
    if (change.after && kind != StepKind::kRemove) planned.step.new_sha256 = change.after->sha256;
    return planned;
  }

  static PlannedStep ModeStep(const Change& change, const Stat& now, uint32_t mode) {
    PlannedStep planned;
    planned.step.kind = StepKind::kMode;
    planned.step.path = change.path;
    planned.step.old_inode = now.identity.inode;
    planned.step.old_mode = now.node.mode;
    planned.step.new_mode = mode;
    return planned;
  }

  // Only who may write a directory can take something out of it, or move it.
  void Widen(const Change& change, const Stat& now) {
    constexpr uint32_t kNeeded = S_IWUSR | S_IXUSR;
    if (now.node.type != NodeType::kDirectory || (now.node.mode & kNeeded) == kNeeded) return;
    rights_.push_back(ModeStep(change, now, now.node.mode | S_IRWXU));
  }

  void PlanMode(const Change& change, const RealState& state) {
    constexpr uint32_t kNeeded = S_IWUSR | S_IXUSR;
    const uint32_t wanted = change.after->mode;
    PlannedStep step = ModeStep(change, *state.stat, wanted);
    if (IsFolder(change.after) && (wanted & kNeeded) == kNeeded) {
      rights_.push_back(std::move(step));
    } else {
      finals_.push_back(std::move(step));
    }
  }

  void PlanNewFolder(const Change& change) {
    PlannedStep step;
    step.step.kind = StepKind::kMode;
    step.step.path = change.path;
    step.step.old_mode = S_IRWXU;  // as it is staged; its number is known then
    step.step.new_mode = change.after->mode & ~static_cast<uint32_t>(S_ISUID);
    step.step.mtime_ns = change.after->mtime_ns;
    step.step.sets_time = true;
    finals_.push_back(std::move(step));
  }

  // What replaces something belongs to whom that belonged; what is new, to whom it would belong had
  // the user made it; made by root, to whom its directory belongs.
  Status FindOwner(const Change& change, const RealState& state, PlannedStep* step) {
    Owner owner = {geteuid(), getegid()};
    if (state.stat) {
      owner = {state.stat->uid, state.stat->gid};
    } else {
      const std::string parent = ParentOf(change.path);
      const auto made = owners_.find(parent);
      Result<std::optional<Stat>> folder = std::optional<Stat>();
      if (made == owners_.end() && parent.empty()) folder = LookAtOpen(sides_.workspace.get());
      if (made == owners_.end() && !parent.empty()) folder = sides_.workspace.Look(parent);
      if (!folder) return std::unexpected(folder.error());
      if (made != owners_.end()) {
        owner = made->second;
      } else if (*folder && geteuid() == 0) {
        owner = {(*folder)->uid, (*folder)->gid};
      } else if (*folder && ((*folder)->node.mode & S_ISGID) != 0) {
        owner.gid = (*folder)->gid;
      }
    }
    if (IsFolder(change.after)) owners_[change.path] = owner;
    step->uid = owner.uid;
    step->gid = owner.gid;
    return {};
  }

  const Sides& sides_;
  const Report& report_;
  const std::vector<RealState>& states_;
  std::map<std::string, Owner> owners_;  // of directories that are made
  std::vector<PlannedStep> rights_;
  std::vector<PlannedStep> removals_;
  std::vector<PlannedStep> additions_;
  std::vector<PlannedStep> finals_;
};

// The base as it is once the report's changes are in the workspace.
Result<std::string> NextBase(const Shadow& shadow, const Sides& sides, const Report& report) {
  Manifest base = sides.base;
  for (const ReportedChange& reported : report.changes) {
    const Change& change = reported.change;
    if (change.kind == ChangeKind::kDelete) {
      base.erase(change.path);
      continue;
    }
    const Result<std::optional<Stat>> real = sides.workspace.Look(change.path);
    // In a directory that the command closed, only its contents can be known.
    const bool is_closed = !real && real.error().system_errno == EACCES;
    if (!real && !is_closed) return std::unexpected(real.error());
    if (!is_closed && !*real)
      return Fail(ErrorCode::kInvalid, "went away while it was committed", QuoteName(change.path));
    BaseEntry entry;
    entry.node = *change.after;
    if (!is_closed) entry.real = (*real)->identity;
    if (shadow.info().mode == Mode::kCopy) {
      const Result<std::optional<Stat>> copy = sides.files.Look(change.path);
      if (copy && *copy) entry.copy = (*copy)->identity;
    }
    base.insert_or_assign(change.path, std::move(entry));
  }
  return WriteManifest(base);
}

// Moving a file, even back to where it was, changes what proves it unwritten, and by every name
// that it has. So that a commit which is taken back can be tried again, and its other names be
// committed, the base learns the contents of what is going to be moved.
Status RememberContents(const Shadow& shadow, const std::vector<PlannedStep>& steps, Sides* sides) {
  bool has_learnt = false;
  std::set<uint64_t> moved;
  for (const PlannedStep& planned : steps) moved.insert(planned.step.old_inode);
  for (auto& [path, entry] : sides->base) {
    if (entry.node.type != NodeType::kFile || entry.node.sha256 ||
        !moved.contains(entry.real.inode)) {
      continue;
    }
    entry.node.sha256 = BaseDigest(*sides, path);
    has_learnt = has_learnt || entry.node.sha256.has_value();
  }
  return has_learnt ? shadow.Write("base", WriteManifest(sides->base)) : Status();
}

// --- all of it ---

bool FindConflicts(const CommitRequest& request, const Sides& sides, Report* report,
                   std::vector<RealState>* states) {
  std::vector<const Change*> changes;
  changes.reserve(report->changes.size());
  for (const ReportedChange& reported : report->changes) changes.push_back(&reported.change);
  const ConflictFinder finder(sides, changes);
  bool is_free = true;
  for (ReportedChange& reported : report->changes) {
    RealState state = finder.Find(reported.change);
    const bool is_forced = state.yields_to_force && IsBelowAny(request.force, reported.change.path);
    if (!state.conflict.empty() && is_forced) {
      reported.verdict.notes.push_back("forced: it " + state.conflict);
    } else if (!state.conflict.empty()) {
      reported.conflict = state.conflict;
      is_free = false;
    }
    states->push_back(std::move(state));
  }
  return is_free;
}

Status Ask(const CommitRequest& request, const Report& report) {
  return request.approve ? request.approve(ReportJson(report)) : Status();
}

}  // namespace

Result<CommitResult> Commit(const Shadow& shadow, const CommitRequest& request) {
  Result<Sides> sides = OpenSides(shadow);
  if (!sides) return std::unexpected(sides.error());
  Result<ChangeSet> set = FindChanges(shadow.info(), *sides, request.on_path);
  if (!set) return std::unexpected(set.error());
  Result<std::vector<Change>> selected = Select(std::move(set->changes), request.paths);
  if (!selected) return std::unexpected(selected.error());
  set->changes = std::move(*selected);
  FindRenames(*sides, &*set);
  const Texts texts = request.approve ? Texts::kYes : Texts::kNo;
  CommitResult result = {MakeReport(shadow.info(), *sides, std::move(*set), texts)};
  LiftNamed(request, &result.report);
  RefuseFoldersOfRefused(&result.report);
  if (request.skips_refused) std::erase_if(result.report.changes, IsRefused);
  std::vector<RealState> states;
  const bool is_free = FindConflicts(request, *sides, &result.report, &states);
  if (!is_free || std::ranges::any_of(result.report.changes, IsRefused)) return result;
  const Result<std::vector<PlannedStep>> steps = Planner(*sides, result.report, states).Plan();
  if (!steps) return std::unexpected(steps.error());
  if (request.is_dry) return result;
  if (const Status asked = Ask(request, result.report); !asked)
    return std::unexpected(asked.error());
  if (const Status learnt = RememberContents(shadow, *steps, &*sides); !learnt)
    return std::unexpected(learnt.error());
  const auto next_base = [&] { return NextBase(shadow, *sides, result.report); };
  const Status done =
      Transaction(shadow, *sides, *steps, request.checkpoint, request.on_path).Run(next_base);
  if (!done) return std::unexpected(done.error());
  result.is_done = true;
  return result;
}

Result<std::vector<std::string>> Recover(const Shadow& shadow) {
  if (!shadow.Has("journal")) return std::vector<std::string>();
  const Result<Tree> workspace = shadow.OpenWorkspace();
  if (!workspace) return std::unexpected(workspace.error());
  return CleanUp(shadow, *workspace, {});
}

}  // namespace cordon::shadow
