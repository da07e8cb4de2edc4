#include "policy/git_settings.h"

#include <algorithm>
#include <cctype>

#include "policy/surroundings.h"

namespace cordon::policy {
namespace {

constexpr size_t kMostNamed = 100;
constexpr std::string_view kBlanks = " \t\r";

std::string_view Trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// Without quotes, escapes and what is a comment.
std::string Value(std::string_view text) {
  std::string value;
  bool is_quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (letter == '"') {
      is_quoted = !is_quoted;
    } else if (letter == '\\' && i + 1 < text.size()) {
      value += text[++i];
    } else if (!is_quoted && (letter == '#' || letter == ';')) {
      break;
    } else {
      value += letter;
    }
  }
  return std::string(Trim(value));
}

// Of [section "name"] at the beginning of a line; the name may hold a bracket.
size_t HeaderSize(std::string_view line) {
  bool is_quoted = false;
  size_t i = 1;
  for (; i < line.size() && (is_quoted || line[i] != ']'); ++i) {
    if (line[i] == '"') is_quoted = !is_quoted;
    if (line[i] == '\\') ++i;
  }
  return std::min(i + 1, line.size());
}

// The next line, with those that go on after a backslash.
std::string TakeLine(std::string_view& text) {
  std::string line;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (part.ends_with('\r')) part.remove_suffix(1);
    const bool goes_on = part.ends_with('\\');
    line += goes_on ? part.substr(0, part.size() - 1) : part;
    if (!goes_on) break;
  }
  return line;
}

}  // namespace

GitSettings ReadGitSettings(std::string_view text) {
  GitSettings settings;
  std::string section;
  while (!text.empty()) {
    const std::string line = TakeLine(text);
    std::string_view rest = Trim(line);
    if (rest.starts_with('[')) {
      section = LowerCase(rest.substr(1, rest.find_first_of(" \t\".]", 1) - 1));
      rest = Trim(rest.substr(HeaderSize(rest)));
    }
    const size_t equals = rest.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string key = LowerCase(Trim(rest.substr(0, equals)));
    const std::string value = Value(rest.substr(equals + 1));
    if (value.empty()) continue;
    if (section == "core" && key == "hookspath") settings.hooks.push_back(value);
    if (section == "core" && key == "worktree") settings.worktree = value;
    if ((section == "include" || section == "includeif") && key == "path") {
      settings.files.push_back(value);
    }
  }
  return settings;
}

std::vector<NamedByGit> FindNamedByGit(const std::string& root, const std::string& home,
                                       const std::string& folder, const ReadText& read) {
  std::vector<NamedByGit> found;
  const auto add = [&](const std::string& base, const std::string& value, const char* why) {
    const bool is_home = !home.empty() && value.starts_with("~/");
    const std::string path = AbsolutePath(base, is_home ? home + value.substr(1) : value);
    if (!IsWithin(path, root) || found.size() >= kMostNamed) return;
    std::string inner = path.substr(root == "/" ? 0 : root.size());
    inner.erase(0, 1);
    const bool is_new = std::ranges::find(found, inner, &NamedByGit::path) == found.end();
    if (is_new) found.push_back({std::move(inner), why});
  };
  const std::string git = AbsolutePath(root, folder);
  const bool is_inside = folder == ".git" || folder.ends_with("/.git");
  std::string worktree = is_inside ? AbsolutePath(git, "..") : git;
  const std::string prefix = folder.empty() ? "" : folder + "/";
  std::vector<std::string> files = {prefix + "config", prefix + "config.worktree"};
  for (size_t i = 0; i < files.size(); ++i) {
    const std::optional<std::string> text = read(files[i]);
    if (!text) continue;
    const GitSettings settings = ReadGitSettings(*text);
    if (!settings.worktree.empty()) worktree = AbsolutePath(git, settings.worktree);
    for (const std::string& hooks : settings.hooks) add(worktree, hooks, kGitRuns);
    const size_t before = found.size();
    const std::string here = AbsolutePath(root, files[i] + "/..");
    for (const std::string& file : settings.files) add(here, file, kGitIncludes);
    for (size_t more = before; more < found.size(); ++more) files.push_back(found[more].path);
  }
  return found;
}

}  // namespace cordon::policy
