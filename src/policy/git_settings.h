#ifndef CORDON_POLICY_GIT_SETTINGS_H_
#define CORDON_POLICY_GIT_SETTINGS_H_

// What a repository's configuration names that git obeys as it does the configuration itself.

#include <string>
#include <string_view>
#include <vector>

namespace cordon::policy {

// As they are written: absolute, with ~, or relative (hooks to the worktree, files to the folder of
// the configuration, the worktree to the repository).
struct GitSettings {
  std::string worktree;            // core.worktree; empty where git takes it for granted
  std::vector<std::string> hooks;  // directories: core.hooksPath
  std::vector<std::string> files;  // more configuration: include.path, includeIf.*.path
};

// git-config(1), read generously: what git would refuse counts.
[[nodiscard]] GitSettings ReadGitSettings(std::string_view text);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_GIT_SETTINGS_H_
