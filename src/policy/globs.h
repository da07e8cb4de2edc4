#ifndef CORDON_POLICY_GLOBS_H_
#define CORDON_POLICY_GLOBS_H_

// Patterns for paths of a workspace, and the walk that finds what they match.

#include <string>
#include <string_view>
#include <vector>

#include "policy/host_files.h"

namespace cordon::policy {

// Without a slash: a name at any depth. With one: from the workspace's root; `**` is any number of
// directories. `*`, `?` and `[…]` stay within a name; `?` is one byte. A slash at the end says
// nothing about what is there: a link or a file of that name is hidden too.
class Glob {
 public:
  explicit Glob(std::string_view pattern);

  // What it says about paths by the link `path`, said about where that leads: a pattern for each of
  // its names at which the rest can begin. `real`: names from the root.
  [[nodiscard]] std::vector<Glob> Behind(const std::vector<std::string>& path,
                                         const std::vector<std::string>& real) const;

  // `path`: names from the root, the last one being that of the file.
  [[nodiscard]] bool Matches(const std::vector<std::string>& path) const;
  [[nodiscard]] bool is_literal() const { return is_literal_; }
  // Of a literal: where it would be.
  [[nodiscard]] const std::vector<std::string>& components() const { return components_; }

 private:
  Glob() = default;
  std::vector<std::string> components_;
  bool is_anywhere_ = false;
  bool is_literal_ = true;
};

struct TreeMatch {
  std::vector<std::string> path;
  Found type = Found::kMissing;
  size_t glob = 0;  // the first that matches
};

struct TreeWalk {
  std::vector<TreeMatch> matches;
  std::vector<std::vector<std::string>> links;  // that do not match
  // `.git`, whatever it is, and directories that are repositories by what is in them.
  std::vector<std::vector<std::string>> git_folders;
  std::vector<std::vector<std::string>> git_worktrees;  // folders of worktrees in a repository
  // Directories that this user may not list.
  std::vector<std::vector<std::string>> closed;
  bool is_complete = true;  // false: a bound was reached or something could not be read
  std::string problem;
};

// What matches is not entered: it is hidden as a whole. Links are not followed.
// Goes on from `walk`, below `start`, which is a directory.
void WalkTree(const Beneath& root, const std::vector<std::string>& start,
              const std::vector<Glob>& globs, TreeWalk* walk);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_GLOBS_H_
