#include "shadow/verdict.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>

#include "policy/forms.h"
#include "policy/git_marks.h"
#include "policy/protected_paths.h"
#include "shadow/quote.h"

namespace cordon::shadow {
namespace {

// Some file systems take both for the same name.
std::string LowerCase(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// `path` is a protected one or in it. Those of git hold in every directory.
std::string ProtectedWithin(const std::string& path) {
  const std::string asked = LowerCase(path);
  for (const policy::ProtectedPath& row : policy::ProtectedPaths()) {
    const std::string name = LowerCase(std::string(row.path));
    if (IsAtOrBelow(asked, name)) return std::string(row.why);
    if (!name.starts_with(".git/")) continue;
    const size_t at = asked.find("/" + name);
    if (at != std::string::npos && IsAtOrBelow(asked.substr(at + 1), name))
      return std::string(row.why);
  }
  return {};
}

// `path` is one of those that git obeys, or in one, in a repository of whatever name.
std::string ProtectedByGit(const std::string& path, const std::vector<GitFolder>& folders) {
  for (const GitFolder& folder : folders) {
    if (!IsAtOrBelow(path, folder.path)) continue;
    const size_t size = folder.path.empty() ? 0 : folder.path.size() + 1;
    const std::string below = path.substr(std::min(size, path.size()));
    const std::string name = below.substr(0, below.find('/'));
    // Otherwise settings could come first, and what makes git obey them later. Of a `.git` they are
    // protected in any case.
    const bool is_named = folder.path == ".git" || folder.path.ends_with("/.git");
    if (folder.is_new && !is_named && policy::GitMarks::IsMark(name))
      return "it makes a repository of '" + folder.path + "', and git obeys what is in one";
    std::string reason = policy::ProtectedInRepository(LowerCase(below));
    if (!reason.empty()) return reason;
  }
  return {};
}

// A link or a file in the place of a directory decides what everything in it is.
std::string ProtectedByReplacing(const std::string& path) {
  for (const std::string& spelling : {path, LowerCase(path)}) {
    std::string reason = policy::ProtectedReason(spelling);
    if (!reason.empty()) return reason;
  }
  return {};
}

bool IsFolder(const std::optional<Node>& node) {
  return node && node->type == NodeType::kDirectory;
}

std::string ProtectedReasonFor(const Change& change) {
  // A new directory, or one with another mode, is nothing without what is in it.
  if (IsFolder(change.after) && (!change.before || IsFolder(change.before))) return {};
  std::string reason = ProtectedWithin(change.path);
  if (reason.empty()) reason = ProtectedByGit(change.path, change.git_folders);
  if (reason.empty()) reason = change.named_by_git;
  if (reason.empty() && change.after && !IsFolder(change.after) &&
      std::ranges::find(change.git_folders, change.path, &GitFolder::path) !=
          change.git_folders.end()) {
    reason = "git obeys what is in its place";
  }
  return reason.empty() ? ProtectedByReplacing(change.path) : reason;
}

std::string SpecialName(uint16_t format) {
  switch (format) {
    case S_IFIFO:
      return "a FIFO";
    case S_IFSOCK:
      return "a socket";
    case S_IFCHR:
    case S_IFBLK:
      return "a device";
    default:
      return "a special file";
  }
}

}  // namespace

bool LeadsOutside(const std::string& path, const std::string& target) {
  if (target.starts_with('/')) return true;
  auto depth = std::ranges::count(path, '/');
  for (const std::string& name : policy::PathComponents(target)) {
    if (name != "..") {
      ++depth;
    } else if (--depth < 0) {
      return true;
    }
  }
  return false;
}

bool Names(const std::string& name, const Change& change) {
  if (name == change.path) return true;
  const bool is_protected =
      !ProtectedWithin(name).empty() || !ProtectedByGit(name, change.git_folders).empty();
  return is_protected && IsAtOrBelow(change.path, name);
}

Verdict Judge(const Change& change) {
  Verdict verdict;
  if (!change.problem.empty()) {
    verdict.refusal = "cannot be looked at: " + change.problem;
    return verdict;
  }
  if (change.after && change.after->type == NodeType::kOther) {
    verdict.refusal = "is " + SpecialName(change.format);
    return verdict;
  }
  constexpr uint32_t kSetIds = S_ISUID | S_ISGID;
  if (change.after && change.after->type == NodeType::kFile &&
      (change.after->mode & kSetIds) != 0) {
    verdict.refusal = "would run with another's rights (set-user-id or set-group-id)";
    return verdict;
  }
  if (const std::string reason = ProtectedReasonFor(change); !reason.empty()) {
    verdict.refusal = "is protected: " + reason;
    verdict.yields_to_name = true;
  }
  if (change.after && change.after->type == NodeType::kLink &&
      LeadsOutside(change.path, change.after->target)) {
    verdict.notes.push_back("leads outside the workspace; it stays a link");
  }
  if (!change.hides.empty()) {
    verdict.notes.push_back("the workspace has something there that was not imported: " +
                            change.hides);
  }
  return verdict;
}

}  // namespace cordon::shadow
