// Filling a new shadow: a copy of the workspace, or what an overlay hides of it.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <unordered_map>

#include "shadow/copy.h"
#include "shadow/create.h"

namespace cordon::shadow {
namespace {

constexpr int kMaxTries = 5;

bool SameMoment(const Identity& a, const Identity& b) {
  return a.device == b.device && a.inode == b.inode && a.size == b.size &&
         a.mtime_ns == b.mtime_ns && a.ctime_ns == b.ctime_ns;
}

// The directory that both trees are at; most neighbours of a manifest have one parent.
class Pair {
 public:
  Pair(const Tree& from, const Tree& to) : from_tree_(from), to_tree_(to) {}

  Status Enter(const std::string& path) {
    if (from_.valid() && path == path_) return {};
    Result<OwnedFd> from = from_tree_.OpenAt(path, O_PATH | O_DIRECTORY);
    if (!from) return std::unexpected(from.error());
    Result<OwnedFd> to = to_tree_.OpenAt(path, O_PATH | O_DIRECTORY);
    if (!to) return std::unexpected(to.error());
    from_ = std::move(*from);
    to_ = std::move(*to);
    path_ = path;
    return {};
  }
  [[nodiscard]] int from() const { return from_.get(); }
  [[nodiscard]] int to() const { return to_.get(); }

 private:
  const Tree& from_tree_;
  const Tree& to_tree_;
  std::string path_;
  OwnedFd from_;
  OwnedFd to_;
};

Status GiveTo(int folder, const std::string& name, uint32_t uid, uint32_t gid) {
  if (geteuid() != 0) return {};
  if (fchownat(folder, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
    return SystemError("fchownat(" + name + ")");
  return {};
}

class Copier {
 public:
  Copier(const Tree& workspace, const Tree& tree, Manifest* base)
      : workspace_(workspace), tree_(tree), base_(*base), pair_(workspace, tree) {}

  Status Copy(const OnPath& on_path) {
    for (auto& [path, entry] : base_) {
      if (entry.absence != Absence::kNone) continue;
      const std::string parent = ParentOf(path);
      CORDON_TRY(pair_.Enter(parent));
      CORDON_TRY(CopyNode(path.substr(parent.empty() ? 0 : parent.size() + 1), path, entry));
      if (on_path) on_path("copied");
    }
    CORDON_TRY(FinishDirectories());
    WaitForClock();
    return {};
  }

 private:
  Status CopyNode(const std::string& name, const std::string& path, BaseEntry& entry) {
    switch (entry.node.type) {
      case NodeType::kDirectory:
        if (mkdirat(pair_.to(), name.c_str(), 0700) != 0)
          return SystemError("mkdirat(" + path + ")");
        return {};
      case NodeType::kLink:
        if (symlinkat(entry.node.target.c_str(), pair_.to(), name.c_str()) != 0)
          return SystemError("symlinkat(" + path + ")");
        CORDON_TRY(GiveLink(name));
        return SetTime(pair_.to(), name, entry.node.mtime_ns);
      case NodeType::kFile:
        return CopyFile(name, path, entry);
      case NodeType::kOther:
        break;
    }
    return Fail(ErrorCode::kInternal, "a special file in a base", path);
  }

  Status GiveLink(const std::string& name) {
    const Result<std::optional<Stat>> stat = LookAt(pair_.from(), name);
    if (!stat || !*stat) return {};
    return GiveTo(pair_.to(), name, (*stat)->uid, (*stat)->gid);
  }

  Status CopyFile(const std::string& name, const std::string& path, BaseEntry& entry) {
    for (int tries = 0; tries < kMaxTries; ++tries) {
      const OwnedFd from(openat(pair_.from(), name.c_str(),
                                O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
      if (!from.valid() && errno == EACCES) {
        entry.absence = Absence::kUnreadable;
        return {};
      }
      if (!from.valid()) return SystemError("openat(" + path + ")");
      const Result<Stat> before = LookAtOpen(from.get());
      if (!before) return std::unexpected(before.error());
      if (before->node.type != NodeType::kFile) break;
      if (before->links > 1 && LinkToFirst(name, *before, entry)) return {};
      CORDON_TRY(CopyOnce(from.get(), name, path, *before, entry));
      const Result<Stat> after = LookAtOpen(from.get());
      if (after && SameMoment(before->identity, after->identity)) {
        if (before->links > 1) links_[before->identity.inode] = {path, entry.copy};
        return {};
      }
      (void)unlinkat(pair_.to(), name.c_str(), 0);
    }
    return Fail(ErrorCode::kInvalid, "changes while it is copied", path);
  }

  // Another name of a file that is there already stays one.
  bool LinkToFirst(const std::string& name, const Stat& stat, BaseEntry& entry) {
    const auto first = links_.find(stat.identity.inode);
    if (first == links_.end()) return false;
    const Result<Place> place = tree_.OpenParent(first->second.first);
    if (!place ||
        linkat(place->folder.get(), place->name.c_str(), pair_.to(), name.c_str(), 0) != 0) {
      return false;
    }
    entry.real = stat.identity;
    entry.node.mode = stat.node.mode;
    entry.node.size = stat.node.size;
    // Its time of change is that of the last link, which is looked at in the end.
    linked_.push_back({first->second.first, &entry});
    return true;
  }

  Status CopyOnce(int from, const std::string& name, const std::string& path, const Stat& stat,
                  BaseEntry& entry) {
    const OwnedFd to(openat(pair_.to(), name.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!to.valid()) return SystemError("openat(" + path + ", O_CREAT)");
    CORDON_TRY(CopyContents(from, to.get(), path));
    CORDON_TRY(GiveTo(pair_.to(), name, stat.uid, stat.gid));
    if (fchmod(to.get(), stat.node.mode) != 0) return SystemError("fchmod(" + path + ")");
    CORDON_TRY(SetTime(pair_.to(), name, stat.node.mtime_ns));
    const Result<Stat> made = LookAtOpen(to.get());
    if (!made) return std::unexpected(made.error());
    const std::optional<Sha256::Digest> digest = entry.node.sha256;
    entry.node = stat.node;
    entry.node.sha256 = digest;
    entry.real = stat.identity;
    RecordCopy(made->identity, entry);
    return {};
  }

  void RecordCopy(const Identity& identity, BaseEntry& entry) {
    constexpr int64_t kSecondNs = 1'000'000'000;
    entry.copy = identity;
    // Nobody writes it before this returns, and by then the clock has gone on.
    entry.copy.is_settled = identity.ctime_ns % kSecondNs != 0;
    newest_ns_ = std::max(newest_ns_, identity.ctime_ns);
  }

  Status FinishDirectories() {
    for (const auto& [first, entry] : linked_) {
      const Result<std::optional<Stat>> stat = tree_.Look(first);
      if (!stat || !*stat) continue;
      RecordCopy((*stat)->identity, *entry);
      RecordCopy((*stat)->identity, base_[first]);
    }
    for (auto entry = base_.rbegin(); entry != base_.rend(); ++entry) {
      const auto& [path, node] = *entry;
      if (node.absence != Absence::kNone || node.node.type != NodeType::kDirectory) continue;
      CORDON_TRY(FinishDirectory(path));
    }
    return FinishDirectory("");
  }

  Status FinishDirectory(const std::string& path) {
    const Result<OwnedFd> from = workspace_.OpenAt(path, O_PATH | O_DIRECTORY);
    if (!from) return std::unexpected(from.error());
    const Result<Stat> stat = LookAtOpen(from->get());
    if (!stat) return std::unexpected(stat.error());
    const Result<OwnedFd> to = tree_.OpenAt(path, O_RDONLY | O_DIRECTORY);
    if (!to) return std::unexpected(to.error());
    if (geteuid() == 0 && fchown(to->get(), stat->uid, stat->gid) != 0)
      return SystemError("fchown(" + path + ")");
    CORDON_TRY(SetTime(to->get(), ".", stat->node.mtime_ns));
    // Of the top one the command must at least be able to list.
    const uint32_t mode = stat->node.mode | (path.empty() ? 0700U : 0U);
    if (fchmod(to->get(), mode) != 0) return SystemError("fchmod(" + path + ")");
    return {};
  }

  // Until a write would get another time of change than what was recorded.
  void WaitForClock() const {
    const timespec step = {.tv_sec = 0, .tv_nsec = 1'000'000};
    constexpr int kMaxSteps = 100;
    for (int i = 0; i < kMaxSteps && FileClockNs() <= newest_ns_; ++i)
      (void)nanosleep(&step, nullptr);
  }

  const Tree& workspace_;
  const Tree& tree_;
  Manifest& base_;
  Pair pair_;
  std::unordered_map<uint64_t, std::pair<std::string, Identity>> links_;  // by inode
  std::vector<std::pair<std::string, BaseEntry*>> linked_;
  int64_t newest_ns_ = 0;
};

// A directory of the upper layer shows its own attributes, not those of the one below.
class Hider {
 public:
  Hider(const Tree& workspace, const Tree& upper) : workspace_(workspace), upper_(upper) {}

  Status Hide(const std::string& path) {
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      CORDON_TRY(MakeLike(path.substr(0, slash)));
    }
    const Result<Place> place = upper_.OpenParent(path);
    if (!place) return std::unexpected(place.error());
    // To an overlay, a character device 0/0 is the absence of what lies below.
    if (mknodat(place->folder.get(), place->name.c_str(), S_IFCHR, makedev(0, 0)) != 0)
      return SystemError("mknodat(" + path + ")");
    return {};
  }

  // Their modes may forbid what was done in them.
  Status Finish() {
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) {
      const auto& [path, stat] = *made;
      const Result<Place> place = upper_.OpenParent(path);
      if (!place) return std::unexpected(place.error());
      CORDON_TRY(Like(place->folder.get(), place->name, stat));
    }
    return {};
  }

  static Status Like(int folder, const std::string& name, const Stat& stat) {
    CORDON_TRY(GiveTo(folder, name, stat.uid, stat.gid));
    CORDON_TRY(SetTime(folder, name, stat.node.mtime_ns));
    if (fchmodat(folder, name.c_str(), stat.node.mode, 0) != 0)
      return SystemError("fchmodat(upper/" + name + ")");
    return {};
  }

 private:
  Status MakeLike(const std::string& path) {
    const Result<Place> place = upper_.OpenParent(path);
    if (!place) return std::unexpected(place.error());
    if (mkdirat(place->folder.get(), place->name.c_str(), 0700) != 0) {
      if (errno == EEXIST) return {};
      return SystemError("mkdirat(upper/" + path + ")");
    }
    const Result<std::optional<Stat>> stat = workspace_.Look(path);
    if (!stat) return std::unexpected(stat.error());
    if (!*stat) return Fail(ErrorCode::kInvalid, "changes while it is looked at", path);
    made_.emplace_back(path, **stat);
    return {};
  }

  const Tree& workspace_;
  const Tree& upper_;
  std::vector<std::pair<std::string, Stat>> made_;  // a directory before what is in it
};

}  // namespace

Status CopyTree(const Tree& workspace, const std::string& folder, const OnPath& on_path,
                Manifest* base) {
  if (mkdir((folder + "/tree").c_str(), 0700) != 0) return SystemError("mkdir(tree)");
  const Result<Tree> tree = Tree::Open(folder + "/tree", Ownership::kOurs);
  if (!tree) return std::unexpected(tree.error());
  return Copier(workspace, *tree, base).Copy(on_path);
}

Status HideAbsent(const Tree& workspace, const std::string& folder, const Manifest& base) {
  const Result<Stat> top = LookAtOpen(workspace.get());
  if (!top) return std::unexpected(top.error());
  const OwnedFd own(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!own.valid()) return SystemError("open(" + folder + ")");
  for (const char* name : {"upper", "work", "lower"}) {
    if (mkdirat(own.get(), name, 0700) != 0)
      return SystemError(std::string("mkdirat(") + name + ")");
  }
  const Result<Tree> upper = Tree::Open(folder + "/upper", Ownership::kOurs);
  if (!upper) return std::unexpected(upper.error());
  Hider hider(workspace, *upper);
  for (const auto& [path, entry] : base) {
    if (entry.absence == Absence::kNone || entry.absence == Absence::kTooLong) continue;
    CORDON_TRY(hider.Hide(path));
  }
  CORDON_TRY(hider.Finish());
  return Hider::Like(own.get(), "upper", *top);
}

}  // namespace cordon::shadow
