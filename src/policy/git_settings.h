#ifndef CORDON_POLICY_GIT_SETTINGS_H_
#define CORDON_POLICY_GIT_SETTINGS_H_

// What a repository's configuration names that git obeys as it does the configuration itself.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cordon::policy {

inline constexpr const char* kGitRuns = "git runs what is in it (core.hooksPath)";
inline constexpr const char* kGitIncludes = "git obeys it (include.path)";

// As they are written: absolute, with ~, or relative (hooks to the worktree, files to the folder of
// the configuration, the worktree to the repository).
struct GitSettings {
  std::string worktree;            // core.worktree; empty where git takes it for granted
  std::vector<std::string> hooks;  // directories: core.hooksPath
  std::vector<std::string> files;  // more configuration: include.path, includeIf.*.path
};

// git-config(1), read generously: what git would refuse counts.
[[nodiscard]] GitSettings ReadGitSettings(std::string_view text);

struct NamedByGit {
  std::string path;  // from the root; empty is the root itself
  const char* why;   // kGitRuns: a directory; kGitIncludes: a file
};

// The text of a file, by its path from the root; nothing where there is none.
using ReadText = std::function<std::optional<std::string>(const std::string& path)>;

// Below `root`, an absolute path without links: what the repository `folder` in it names, and what
// that names in turn.
[[nodiscard]] std::vector<NamedByGit> FindNamedByGit(const std::string& root,
                                                     const std::string& home,
                                                     const std::string& folder,
                                                     const ReadText& read);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_GIT_SETTINGS_H_
