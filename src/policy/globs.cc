#include "policy/globs.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>

#include "policy/forms.h"
#include "policy/git_marks.h"

namespace cordon::policy {
namespace {

constexpr size_t kMaxEntries = 500'000;
constexpr size_t kMaxDepth = 100;

bool IsLiteral(std::string_view text) {
  return text.find_first_of("*?[") == std::string_view::npos;
}

// A pattern for this name alone.
std::string Quoted(const std::string& name) {
  std::string text;
  for (const char letter : name) {
    text += std::string_view("*?[").contains(letter) ? std::string("[") + letter + "]"
                                                     : std::string(1, letter);
  }
  return text;
}

bool MatchesName(const std::string& pattern, const std::string& name) {
  if (IsLiteral(pattern)) return pattern == name;
  return fnmatch(pattern.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
}

bool MatchesPath(std::span<const std::string> pattern, std::span<const std::string> path) {
  if (pattern.empty()) return path.empty();
  if (pattern.front() == "**") {
    for (size_t skip = 0; skip <= path.size(); ++skip) {
      if (MatchesPath(pattern.subspan(1), path.subspan(skip))) return true;
    }
    return false;
  }
  return !path.empty() && MatchesName(pattern.front(), path.front()) &&
         MatchesPath(pattern.subspan(1), path.subspan(1));
}

class Walker {
 public:
  Walker(const std::vector<std::string>& start, const std::vector<Glob>& globs, TreeWalk* walk)
      : globs_(globs), walk_(walk), path_(start) {}

  void Enter(OwnedFd folder) {
    if (path_.size() > kMaxDepth) return Stop("nested deeper than 100 directories");
    DIR* opened = fdopendir(folder.get());
    if (opened == nullptr) return Stop("cannot be read");
    (void)folder.release();
    const std::unique_ptr<DIR, int (*)(DIR*)> closer(opened, closedir);
    GitMarks marks;
    while (const dirent* entry = readdir(opened)) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (++entries_ > kMaxEntries) return Stop("more than 500000 files");
      marks.Add(name);
      path_.emplace_back(name);
      Visit(dirfd(opened), *entry);
      path_.pop_back();
      if (!walk_->is_complete) return;
    }
    const bool is_listed = !path_.empty() && path_.back() == ".git";
    if (marks.IsRepository() && !is_listed) walk_->git_folders.push_back(path_);
    if (marks.IsWorktree()) walk_->git_worktrees.push_back(path_);
  }

 private:
  void Stop(const char* problem) {
    walk_->is_complete = false;
    for (const std::string& name : path_) walk_->problem += name + "/";
    walk_->problem += std::string(": ") + problem;
  }

  static Found TypeOf(int folder, const dirent& entry) {
    switch (entry.d_type) {
      case DT_REG:
        return Found::kFile;
      case DT_DIR:
        return Found::kDirectory;
      case DT_LNK:
        return Found::kLink;
      case DT_UNKNOWN:
        break;
      default:
        return Found::kOther;
    }
    struct stat status = {};
    if (fstatat(folder, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) return Found::kMissing;
    if (S_ISDIR(status.st_mode)) return Found::kDirectory;
    if (S_ISLNK(status.st_mode)) return Found::kLink;
    return S_ISREG(status.st_mode) ? Found::kFile : Found::kOther;
  }

  void Visit(int folder, const dirent& entry) {
    const Found type = TypeOf(folder, entry);
    for (size_t i = 0; i < globs_.size(); ++i) {
      if (!globs_[i].Matches(path_)) continue;
      walk_->matches.push_back({path_, type, i});
      return;
    }
    if (type == Found::kLink && !globs_.empty()) walk_->links.push_back(path_);
    if (path_.back() == ".git") walk_->git_folders.push_back(path_);
    if (type != Found::kDirectory) return;
    OwnedFd next(openat(folder, entry.d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid() && errno == ENOENT) return;
    if (!next.valid() && errno == EACCES) return walk_->closed.push_back(path_);
    if (!next.valid()) return Stop("cannot be read");
    Enter(std::move(next));
  }

  const std::vector<Glob>& globs_;
  TreeWalk* walk_;
  std::vector<std::string> path_;
  size_t entries_ = 0;
};

}  // namespace

Glob::Glob(std::string_view pattern) : components_(PathComponents(pattern)) {
  // "**/x" is "x" at any depth.
  while (components_.size() == 2 && components_.front() == "**")
    components_.erase(components_.begin());
  is_anywhere_ = components_.size() == 1;
  for (const std::string& name : components_) is_literal_ = is_literal_ && IsLiteral(name);
}

std::vector<Glob> Glob::Behind(const std::vector<std::string>& path,
                               const std::vector<std::string>& real) const {
  std::vector<Glob> behind;
  if (is_anywhere_) return behind;
  const std::span<const std::string> names(components_);
  for (size_t i = 1; i < names.size(); ++i) {
    if (!MatchesPath(names.first(i), path)) continue;
    // Any number of directories may be more of them.
    const size_t rest = names[i - 1] == "**" ? i - 1 : i;
    // By `**` at the beginning it is found where it is.
    if (rest == 0) continue;
    Glob glob;
    for (const std::string& name : real) glob.components_.push_back(Quoted(name));
    glob.components_.insert(glob.components_.end(), names.begin() + static_cast<ptrdiff_t>(rest),
                            names.end());
    glob.is_literal_ = std::ranges::all_of(glob.components_, IsLiteral);
    behind.push_back(std::move(glob));
  }
  return behind;
}

bool Glob::Matches(const std::vector<std::string>& path) const {
  if (is_anywhere_) return MatchesName(components_.front(), path.back());
  // The last name decides most.
  if (components_.back() != "**" && !MatchesName(components_.back(), path.back())) return false;
  return MatchesPath(components_, path);
}

void WalkTree(const Beneath& root, const std::vector<std::string>& start,
              const std::vector<Glob>& globs, TreeWalk* walk) {
  OwnedFd folder(openat(root.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const std::string& name : start) {
    if (!folder.valid()) break;
    folder.reset(
        openat(folder.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  if (!folder.valid()) {
    walk->is_complete = false;
    walk->problem = SystemError("openat(O_DIRECTORY)").error().ToString();
    return;
  }
  Walker(start, globs, walk).Enter(std::move(folder));
}

}  // namespace cordon::policy
