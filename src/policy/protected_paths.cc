#include "policy/protected_paths.h"

#include "policy/surroundings.h"

namespace cordon::policy {
namespace {

constexpr std::string_view kGit = "git obeys it the next time it runs here";
constexpr std::string_view kShell = "a shell runs it when it starts";
constexpr std::string_view kEditor = "an editor runs what it says";
constexpr std::string_view kAgent = "an agent obeys it";
constexpr std::string_view kTool = "a tool of yours obeys it";

constexpr ProtectedPath kPaths[] = {
    {".git/hooks", kGit},
    {".git/config", kGit},
    {".git/config.worktree", kGit},
    {".git/commondir", kGit},
    {".git/info", kGit},
    {".git/modules", kGit},
    {".gitmodules", kGit},
    {".husky", kGit},
    {".pre-commit-config.yaml", kGit},
    {".bashrc", kShell},
    {".bash_profile", kShell},
    {".bash_login", kShell},
    {".bash_logout", kShell},
    {".profile", kShell},
    {".zshrc", kShell},
    {".zshenv", kShell},
    {".zprofile", kShell},
    {".zlogin", kShell},
    {".envrc", kShell},
    {".config/fish", kShell},
    {".vscode", kEditor},
    {".idea", kEditor},
    {".devcontainer", kEditor},
    {".vimrc", kEditor},
    {".exrc", kEditor},
    {".nvimrc", kEditor},
    {".mcp.json", kAgent},
    {".claude", kAgent},
    {".codex", kAgent},
    {".cursor", kAgent},
    {".gemini", kAgent},
    {".windsurf", kAgent},
    {".aider.conf.yml", kAgent},
    {".npmrc", kTool},
    {".yarnrc", kTool},
    {".yarnrc.yml", kTool},
    {".cargo/config.toml", kTool},
    {".ssh", kTool},
    {"cordon.yaml", kTool},
    {"sbox.yaml", kTool},
};

}  // namespace

std::span<const ProtectedPath> ProtectedPaths() {
  return kPaths;
}

std::string ProtectedReason(std::string_view path) {
  const std::string asked = AbsolutePath("/", std::string(path));
  for (const ProtectedPath& row : kPaths) {
    const std::string full = "/" + std::string(row.path);
    if (IsWithin(asked, full)) return std::string(row.why);
    if (IsWithin(full, asked) && asked != "/") return std::string(row.path) + " is in it";
    // In a repository inside the workspace.
    if (row.path.starts_with(".git/")) {
      const size_t at = asked.find(full + "/");
      if (asked.ends_with(full) || at != std::string::npos) return std::string(row.why);
    }
  }
  return asked.ends_with("/.git") ? std::string(kGit) : std::string();
}

}  // namespace cordon::policy
