#include "policy/protected_paths.h"

#include "policy/surroundings.h"

namespace cordon::policy {
namespace {

constexpr std::string_view kGit = "git obeys it the next time it runs here";
constexpr std::string_view kShell = "a shell runs it when it starts";
constexpr std::string_view kStart = "a debugger or interpreter runs it when it starts here";
constexpr std::string_view kEditor = "an editor runs what it says";
constexpr std::string_view kAgent = "an agent obeys it";
constexpr std::string_view kTool = "a tool of yours obeys it";

// An empty one is an error to git; this one says what it takes for granted without.
constexpr std::string_view kCommonFolder = ".\n";

constexpr NodeType kFile = NodeType::kFile;
constexpr NodeType kFolder = NodeType::kDirectory;

constexpr ProtectedPath kPaths[] = {
    {".git/hooks", kFolder, kGit, ""},
    {".git/config", kFile, kGit, ""},
    {".git/config.worktree", kFile, kGit, ""},
    {".git/commondir", kFile, kGit, kCommonFolder},
    {".git/info", kFolder, kGit, ""},
    {".git/modules", kFolder, kGit, ""},
    {".gitmodules", kFile, kGit, ""},
    {".gitconfig", kFile, kGit, ""},
    {".husky", kFolder, kGit, ""},
    {".pre-commit-config.yaml", kFile, kGit, ""},
    {".bashrc", kFile, kShell, ""},
    {".bash_profile", kFile, kShell, ""},
    {".bash_login", kFile, kShell, ""},
    {".bash_logout", kFile, kShell, ""},
    {".bash_aliases", kFile, kShell, ""},
    {".profile", kFile, kShell, ""},
    {".zshrc", kFile, kShell, ""},
    {".zshenv", kFile, kShell, ""},
    {".zprofile", kFile, kShell, ""},
    {".zlogin", kFile, kShell, ""},
    {".zlogout", kFile, kShell, ""},
    {".envrc", kFile, kShell, ""},
    {".config/fish", kFolder, kShell, ""},
    {"mise.toml", kFile, kShell, ""},
    {".mise.toml", kFile, kShell, ""},
    {".gdbinit", kFile, kStart, ""},
    {".lldbinit", kFile, kStart, ""},
    {".pdbrc", kFile, kStart, ""},
    {".irbrc", kFile, kStart, ""},
    {".pryrc", kFile, kStart, ""},
    {".Rprofile", kFile, kStart, ""},
    {".vscode", kFolder, kEditor, ""},
    {".idea", kFolder, kEditor, ""},
    {".devcontainer", kFolder, kEditor, ""},
    {".vimrc", kFile, kEditor, ""},
    {".exrc", kFile, kEditor, ""},
    {".nvimrc", kFile, kEditor, ""},
    {".nvim.lua", kFile, kEditor, ""},
    {".zed", kFolder, kEditor, ""},
    {".mcp.json", kFile, kAgent, ""},
    {".claude", kFolder, kAgent, ""},
    {".codex", kFolder, kAgent, ""},
    {".cursor", kFolder, kAgent, ""},
    {".gemini", kFolder, kAgent, ""},
    {".windsurf", kFolder, kAgent, ""},
    {".aider.conf.yml", kFile, kAgent, ""},
    {".npmrc", kFile, kTool, ""},
    {".yarnrc", kFile, kTool, ""},
    {".yarnrc.yml", kFile, kTool, ""},
    {".pnpmfile.cjs", kFile, kTool, ""},
    {".cargo/config.toml", kFile, kTool, ""},
    // Its old name, which cargo prefers.
    {".cargo/config", kFile, kTool, ""},
    {".ssh", kFolder, kTool, ""},
    {"cordon.yaml", kFile, kTool, ""},
    {"sbox.yaml", kFile, kTool, ""},
};

}  // namespace

std::span<const ProtectedPath> ProtectedPaths() {
  return kPaths;
}

std::string ProtectedInRepository(std::string_view path) {
  const std::string full = "/.git/" + std::string(path);
  for (const ProtectedPath& row : kPaths) {
    if (IsWithin(full, "/" + std::string(row.path))) return std::string(row.why);
  }
  return {};
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
