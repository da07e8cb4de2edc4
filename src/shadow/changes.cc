#include "shadow/changes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "policy/git_marks.h"
#include "policy/git_settings.h"

namespace cordon::shadow {
namespace {

constexpr size_t kMaxGitConfig = 1 << 20;
constexpr uint64_t kMaxHoleBytes = uint64_t{8} << 30;

struct Seen {
  Stat stat;
  bool is_whiteout = false;
  bool is_opaque = false;
  std::string problem;
};

class Comparison {
 public:
  Comparison(const ShadowInfo& info, const Sides& sides) : info_(info), sides_(sides) {}

  Result<ChangeSet> Run(const OnPath& on_path) {
    if (const Status looked = Look(); !looked) return std::unexpected(looked.error());
    for (const auto& [path, seen] : seen_) {
      if (const Status compared = Compare(path, seen); !compared)
        return std::unexpected(compared.error());
      if (on_path) on_path("compared");
    }
    if (info_.mode == Mode::kCopy) {
      FindDeleted("");
    } else {
      FindHidden();
    }
    for (const auto& [path, entry] : sides_.base) {
      if (entry.absence == Absence::kNone) continue;
      std::string why = AbsenceText(entry.absence);
      if (!entry.detail.empty()) why += " (" + entry.detail + ")";
      set_.not_imported.push_back({path, std::move(why)});
    }
    std::ranges::sort(set_.changes, {}, &Change::path);
    FindGitFolders();
    FindNamed();
    return std::move(set_);
  }

 private:
  Status Look() {
    std::vector<Unseen> unseen;
    CORDON_TRY(
        Walk(sides_.files, &unseen, [this](const Visited& visited) { return Take(visited); }));
    for (Unseen& one : unseen) seen_[one.path].problem = std::move(one.why);
    return {};
  }

  Result<Visit> Take(const Visited& visited) {
    Seen seen;
    seen.stat = visited.stat;
    if (visited.stat.is_mount_point) {
      seen.problem = "a file system is mounted there";
    } else if (info_.mode == Mode::kOverlay) {
      seen.is_whiteout = visited.stat.format == S_IFCHR && visited.stat.device_number == 0;
      if (const Status read = ReadMarks(visited, &seen); !read)
        return std::unexpected(read.error());
    }
    const bool is_bad = !seen.problem.empty();
    seen_.insert_or_assign(visited.path, std::move(seen));
    return is_bad ? Visit::kSkip : Visit::kEnter;
  }

  // What an overlay notes on directories. The command cannot: it does not get through the overlay.
  Status ReadMarks(const Visited& visited, Seen* seen) const {
    if (visited.stat.node.type != NodeType::kDirectory) return {};
    const Result<OwnedFd> folder = sides_.files.OpenDirectory(visited.path);
    // The walk will say so.
    if (!folder) return {};
    char value = 0;
    seen->is_opaque =
        fgetxattr(folder->get(), "user.overlay.opaque", &value, 1) == 1 && value == 'y';
    if (fgetxattr(folder->get(), "user.overlay.redirect", nullptr, 0) >= 0) {
      return Fail(ErrorCode::kCorrupt, "is a directory that stands for another one", visited.path);
    }
    return {};
  }

  // What the command sees: nothing that was not imported.
  const BaseEntry* BaseOf(const std::string& path) const {
    const auto found = sides_.base.find(path);
    const bool is_there = found != sides_.base.end() && found->second.absence == Absence::kNone;
    return is_there ? &found->second : nullptr;
  }

  Status Compare(const std::string& path, const Seen& seen) {
    if (seen.is_whiteout) return {};
    Change change;
    change.path = path;
    change.problem = seen.problem;
    change.seen = seen.stat.identity;
    change.links = seen.stat.links;
    change.format = seen.stat.format;
    change.after = seen.stat.node;
    const BaseEntry* base = BaseOf(path);
    if (base == nullptr) {
      change.kind = ChangeKind::kAdd;
      change.content_differs = true;
      const auto absent = sides_.base.find(path);
      if (absent != sides_.base.end()) change.hides = AbsenceText(absent->second.absence);
      return Add(std::move(change), &seen.stat);
    }
    change.before = base->node;
    if (!change.problem.empty()) return Add(std::move(change), nullptr);
    const Result<bool> differs = ContentDiffers(path, *base, seen.stat);
    if (!differs) {
      change.problem = differs.error().ToString();
      return Add(std::move(change), nullptr);
    }
    change.content_differs = *differs;
    const bool mode_differs =
        seen.stat.node.type != NodeType::kLink && base->node.mode != seen.stat.node.mode;
    if (!*differs && !mode_differs && base->node.type == seen.stat.node.type) return {};
    return Add(std::move(change), &seen.stat);
  }

  Result<bool> ContentDiffers(const std::string& path, const BaseEntry& base, const Stat& stat) {
    if (base.node.type != stat.node.type) return true;
    if (stat.node.type == NodeType::kLink) return base.node.target != stat.node.target;
    if (stat.node.type != NodeType::kFile) return false;
    if (base.copy.Proves(stat.identity)) return false;
    if (base.node.size != stat.node.size) return true;
    const Result<Sha256::Digest> now = Digest(path, stat);
    if (!now) return std::unexpected(now.error());
    // What cannot be known any more counts as changed.
    return BaseDigest(sides_, path) != *now;
  }

  // Holes cost the command nothing, nor do further names of a file, and reading takes time for all
  // their bytes: so many of holes, and each file once.
  Result<Sha256::Digest> Digest(const std::string& path, const Stat& stat) {
    const std::pair file(stat.identity.device, stat.identity.inode);
    const auto known = digests_.find(file);
    if (known != digests_.end()) return known->second;
    const uint64_t holes = stat.node.size - std::min(stat.node.size, stat.allocated_bytes);
    if (holes > kMaxHoleBytes - hole_bytes_)
      return Fail(ErrorCode::kLimit, "not read: more than 8 GiB of new files are holes");
    hole_bytes_ += holes;
    Result<Sha256::Digest> digest = sides_.files.Hash(path);
    if (digest) digests_.emplace(file, *digest);
    return digest;
  }

  // With `stat`, of the shadow's file, its contents are read.
  Status Add(Change change, const Stat* stat) {
    if (stat != nullptr && change.problem.empty() && change.after->type == NodeType::kFile) {
      const Result<Sha256::Digest> digest = Digest(change.path, *stat);
      if (digest) {
        change.after->sha256 = *digest;
      } else {
        change.problem = digest.error().ToString();
      }
    }
    if (change.before && change.before->type == NodeType::kFile)
      change.before->sha256 = BaseDigest(sides_, change.path);
    set_.changes.push_back(std::move(change));
    return {};
  }

  void AddDeleted(const std::string& path, const BaseEntry& entry) {
    Change change;
    change.kind = ChangeKind::kDelete;
    change.path = path;
    change.before = entry.node;
    change.content_differs = true;
    set_.changes.push_back(std::move(change));
  }

  // Everything of the base below `folder` that the shadow does not have.
  void FindDeleted(const std::string& folder) {
    const std::string prefix = folder.empty() ? "" : folder + "/";
    for (auto entry = sides_.base.lower_bound(prefix);
         entry != sides_.base.end() && entry->first.starts_with(prefix); ++entry) {
      const auto& [path, base] = *entry;
      if (base.absence != Absence::kNone || seen_.contains(path) || IsUnknown(path)) continue;
      if (!deleted_.insert(path).second) continue;
      AddDeleted(path, base);
    }
  }

  // Below something that could not be looked into.
  bool IsUnknown(const std::string& path) const {
    for (std::string above = ParentOf(path); !above.empty(); above = ParentOf(above)) {
      const auto found = seen_.find(above);
      if (found != seen_.end() && !found->second.problem.empty()) return true;
    }
    return false;
  }

  // In an overlay only what is marked hides what is below.
  void FindHidden() {
    for (const auto& [path, seen] : seen_) {
      const bool is_folder = !seen.is_whiteout && seen.stat.node.type == NodeType::kDirectory;
      if (!seen.problem.empty() || (is_folder && !seen.is_opaque)) continue;
      const BaseEntry* base = BaseOf(path);
      if (seen.is_whiteout && base != nullptr && deleted_.insert(path).second)
        AddDeleted(path, *base);
      FindDeleted(path);
    }
  }

  // By what the base has, imported or not, together with what the shadow has: a commit may take a
  // part of it, and another one the rest.
  void FindGitFolders() {
    std::map<std::string, policy::GitMarks> before;
    for (const auto& [path, entry] : sides_.base) AddMark(path, &before);
    std::map<std::string, policy::GitMarks> now = before;
    for (const auto& [path, seen] : seen_) {
      if (!seen.is_whiteout) AddMark(path, &now);
    }
    const auto is_git = [](const auto& marks, const std::string& path) {
      const auto found = marks.find(path);
      return found != marks.end() && (found->second.IsRepository() || found->second.IsWorktree());
    };
    for (Change& change : set_.changes) {
      for (std::string path = change.path;; path = ParentOf(path)) {
        if (is_git(now, path)) change.git_folders.push_back({path, !is_git(before, path)});
        if (path.empty()) break;
      }
    }
  }

  void FindNamed() {
    const auto read = [this](const std::string& path) {
      Result<std::string> text = sides_.workspace.Read(path, kMaxGitConfig);
      return text ? std::optional(std::move(*text)) : std::nullopt;
    };
    for (const auto& [path, entry] : sides_.base) {
      // Every repository has one, whatever its own name is.
      if (path != "config" && !path.ends_with("/config")) continue;
      const std::string folder = ParentOf(path);
      const bool is_named = folder == ".git" || folder.ends_with("/.git");
      if (!is_named && !sides_.base.contains(Join(folder, "HEAD"))) continue;
      for (const policy::NamedByGit& named :
           policy::FindNamedByGit(info_.workspace, "", folder, read)) {
        for (Change& change : set_.changes) {
          const bool is_folder = change.after && change.after->type == NodeType::kDirectory;
          if (IsAtOrBelow(change.path, named.path) ||
              (!is_folder && IsAtOrBelow(named.path, change.path))) {
            change.named_by_git = named.why;
          }
        }
      }
    }
  }

  static void AddMark(const std::string& path, std::map<std::string, policy::GitMarks>* folders) {
    const std::string name = path.substr(path.rfind('/') + 1);
    if (policy::GitMarks::IsMark(name)) (*folders)[ParentOf(path)].Add(name);
  }

  const ShadowInfo& info_;
  const Sides& sides_;
  std::map<std::string, Seen> seen_;
  std::set<std::string> deleted_;
  std::map<std::pair<uint64_t, uint64_t>, Sha256::Digest> digests_;  // by device and inode
  uint64_t hole_bytes_ = 0;                                          // that were read
  ChangeSet set_;
};

const BaseEntry* Unchanged(const Sides& sides, const std::string& path) {
  const auto found = sides.base.find(path);
  if (found == sides.base.end() || found->second.node.type != NodeType::kFile) return nullptr;
  const Result<std::optional<Stat>> now = sides.workspace.Look(path);
  const bool is_same = now && *now && found->second.real.Proves((*now)->identity);
  return is_same ? &found->second : nullptr;
}

}  // namespace

const char* KindName(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kAdd:
      return "add";
    case ChangeKind::kDelete:
      return "delete";
    case ChangeKind::kModify:
      return "modify";
  }
  return "";
}

Result<Sides> OpenSides(const Shadow& shadow) {
  Result<Manifest> base = shadow.ReadBase();
  if (!base) return std::unexpected(base.error());
  Result<Tree> files = shadow.OpenFiles();
  if (!files) return std::unexpected(files.error());
  Result<Tree> workspace = shadow.OpenWorkspace();
  if (!workspace) return std::unexpected(workspace.error());
  return Sides{std::move(*base), std::move(*files), std::move(*workspace)};
}

Result<ChangeSet> FindChanges(const ShadowInfo& info, const Sides& sides, const OnPath& on_path) {
  return Comparison(info, sides).Run(on_path);
}

std::optional<Sha256::Digest> BaseDigest(const Sides& sides, const std::string& path) {
  const auto found = sides.base.find(path);
  if (found == sides.base.end()) return std::nullopt;
  if (found->second.node.sha256) return found->second.node.sha256;
  if (Unchanged(sides, path) == nullptr) return std::nullopt;
  const Result<Sha256::Digest> digest = sides.workspace.Hash(path);
  // It may have changed while it was read.
  if (!digest || Unchanged(sides, path) == nullptr) return std::nullopt;
  return *digest;
}

std::optional<std::string> BaseContents(const Sides& sides, const std::string& path,
                                        size_t max_bytes) {
  const auto found = sides.base.find(path);
  if (found == sides.base.end()) return std::nullopt;
  Result<std::string> text = sides.workspace.Read(path, max_bytes);
  if (!text) return std::nullopt;
  if (found->second.node.sha256) {
    Sha256 hash;
    hash.Update(*text);
    if (hash.Finish() == *found->second.node.sha256) return std::move(*text);
    return std::nullopt;
  }
  if (Unchanged(sides, path) == nullptr) return std::nullopt;
  return std::move(*text);
}

}  // namespace cordon::shadow
