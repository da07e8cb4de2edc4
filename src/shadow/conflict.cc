#include "shadow/conflict.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shadow/quote.h"

namespace cordon::shadow {
namespace {

bool IsFolder(const std::optional<Node>& node) {
  return node && node->type == NodeType::kDirectory;
}

RealState Conflict(RealState state, std::string why, bool yields_to_force) {
  state.conflict = std::move(why);
  state.yields_to_force = yields_to_force;
  return state;
}

}  // namespace

ConflictFinder::ConflictFinder(const Sides& sides, const std::vector<const Change*>& changes)
    : sides_(sides) {
  for (const Change* change : changes) {
    if (change->kind == ChangeKind::kDelete) removed_.insert(change->path);
    const bool becomes_writable = IsFolder(change->after) && (change->after->mode & S_IWUSR) != 0;
    if (change->kind == ChangeKind::kDelete || becomes_writable) widened_.insert(change->path);
    if (change->kind != ChangeKind::kDelete && IsFolder(change->after) &&
        !IsFolder(change->kind == ChangeKind::kModify ? change->before : std::nullopt)) {
      made_folders_.insert(change->path);
    }
  }
}

bool ConflictFinder::IsBase(const Change& change, const Stat& now) const {
  const auto found = sides_.base.find(change.path);
  if (found == sides_.base.end()) return false;
  const BaseEntry& base = found->second;
  if (base.node.type != now.node.type) return false;
  if (base.node.type == NodeType::kLink) return base.node.target == now.node.target;
  if (base.node.mode != now.node.mode) return false;
  if (base.node.type == NodeType::kDirectory || base.real.Proves(now.identity)) return true;
  if (base.node.size != now.node.size || !base.node.sha256) return false;
  const Result<Sha256::Digest> digest = sides_.workspace.Hash(change.path);
  return digest && *digest == *base.node.sha256;
}

bool ConflictFinder::IsAfter(const Change& change, const Stat& now) const {
  if (!change.after || change.after->type != now.node.type) return false;
  const Node& after = *change.after;
  if (after.type == NodeType::kLink) return after.target == now.node.target;
  // Whoever made the same directory may have given it another mode.
  if (after.type == NodeType::kDirectory)
    return change.kind == ChangeKind::kAdd || after.mode == now.node.mode;
  if (after.mode != now.node.mode || after.size != now.node.size) return false;
  const Result<Sha256::Digest> digest = sides_.workspace.Hash(change.path);
  return digest && after.sha256 && *digest == *after.sha256;
}

std::string ConflictFinder::ParentProblem(const std::string& path) const {
  const std::string parent = ParentOf(path);
  if (parent.empty() || made_folders_.contains(parent)) return {};
  const Result<OwnedFd> folder = sides_.workspace.OpenAt(parent, 0);
  const int error = folder ? 0 : folder.error().system_errno;
  if (error == EXDEV) return "another file system is mounted at " + QuoteName(parent);
  const Result<std::optional<Stat>> stat = sides_.workspace.Look(parent);
  if (stat && *stat && (*stat)->node.type == NodeType::kDirectory) return {};
  if (stat && !*stat) return QuoteName(parent) + " is not there any more";
  return QuoteName(parent) + " is not a directory any more";
}

std::string ConflictFinder::WriteProblem(const std::string& path) const {
  const std::string parent = ParentOf(path);
  if (made_folders_.contains(parent) || widened_.contains(parent)) return {};
  const Result<OwnedFd> folder = sides_.workspace.OpenAt(parent, 0);
  if (!folder || faccessat(folder->get(), ".", W_OK | X_OK, AT_EACCESS) == 0) return {};
  const std::string name = parent.empty() ? "the workspace" : QuoteName(parent);
  return name + (errno == EROFS ? " is read-only" : " may not be written");
}

bool ConflictFinder::IsBelowMade(const std::string& path) const {
  for (std::string above = ParentOf(path); !above.empty(); above = ParentOf(above)) {
    if (made_folders_.contains(above)) return true;
  }
  return false;
}

std::string ConflictFinder::Survivor(const std::string& path) const {
  std::vector<Unseen> unseen;
  std::string survivor;
  const Result<Tree> folder = Tree::OpenBeneath(sides_.workspace, path);
  if (!folder) return {};
  const Status walked = Walk(*folder, &unseen, [&](const Visited& visited) -> Result<Visit> {
    const std::string whole = Join(path, visited.path);
    if (survivor.empty() && !removed_.contains(whole)) survivor = whole;
    return Visit::kSkip;
  });
  if (!walked) return path;
  return survivor;
}

RealState ConflictFinder::Find(const Change& change) const {
  RealState state = FindAlone(change);
  const bool stays = state.stat && change.after && !change.content_differs &&
                     change.after->type == state.stat->node.type;
  if (state.is_done || !state.conflict.empty() || stays) return state;
  const std::string problem = WriteProblem(change.path);
  return problem.empty() ? state : Conflict(std::move(state), problem, false);
}

RealState ConflictFinder::FindAlone(const Change& change) const {
  RealState state;
  Result<std::optional<Stat>> now = sides_.workspace.Look(change.path);
  // What is a link now becomes a directory in the same commit: there is nothing below it.
  if (!now && now.error().system_errno == ELOOP && IsBelowMade(change.path)) now = std::nullopt;
  if (!now) return Conflict(state, now.error().ToString(), false);
  state.stat = *now;
  const bool is_removal = change.kind == ChangeKind::kDelete;
  if (!state.stat) {
    state.is_done = is_removal;
    if (is_removal) return state;
    if (std::string problem = ParentProblem(change.path); !problem.empty())
      return Conflict(state, std::move(problem), false);
    if (change.kind == ChangeKind::kAdd) return state;
    return Conflict(state, "is not in the workspace any more", true);
  }
  if (IsAfter(change, *state.stat)) {
    state.is_done = true;
    return state;
  }
  // A directory that goes, or becomes something else, must have nothing that would be lost.
  const bool is_folder = state.stat->node.type == NodeType::kDirectory;
  if (is_folder && (is_removal || !IsFolder(change.after))) {
    const std::string survivor = Survivor(change.path);
    if (!survivor.empty())
      return Conflict(state, "has something that would be lost: " + QuoteName(survivor), false);
  }
  if (change.kind == ChangeKind::kAdd) {
    return Conflict(state,
                    change.hides.empty() ? "has been made in the workspace meanwhile"
                                         : "is in the workspace and was not imported",
                    !is_folder);
  }
  if (!IsBase(change, *state.stat))
    return Conflict(state, "has changed in the workspace since", true);
  return state;
}

}  // namespace cordon::shadow
