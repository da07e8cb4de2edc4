#include "shadow/ignore.h"

#include <algorithm>
#include <span>

namespace cordon::shadow {
namespace {

constexpr size_t kMaxRules = 10'000;

// A bracket expression at the beginning of `pattern`: its length, or 0 if it is none and `[` stands
// for itself.
size_t MatchBracket(std::string_view pattern, char c, bool* matches) {
  size_t at = 1;
  const bool is_negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (is_negated) ++at;
  bool found = false;
  for (bool is_first = true; at < pattern.size(); is_first = false) {
    if (pattern[at] == ']' && !is_first) {
      *matches = found != is_negated;
      return at + 1;
    }
    const auto take = [&] {
      if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
      return static_cast<unsigned char>(pattern[at++]);
    };
    const unsigned char low = take();
    unsigned char high = low;
    if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
      ++at;
      high = take();
    }
    const auto wanted = static_cast<unsigned char>(c);
    found = found || (low <= wanted && wanted <= high);
  }
  return 0;
}

// One element of the pattern other than `*` against one character: the element's length, or 0.
size_t MatchOne(std::string_view pattern, char c) {
  if (pattern.front() == '?') return 1;
  if (pattern.front() == '[') {
    bool matches = false;
    if (const size_t size = MatchBracket(pattern, c, &matches); size > 0) return matches ? size : 0;
  }
  if (pattern.front() == '\\' && pattern.size() > 1) return pattern[1] == c ? 2 : 0;
  return pattern.front() == c ? 1 : 0;
}

// The longest `**` seen so far is tried again one name later, as `*` is within a name.
bool MatchesNames(std::span<const std::string> pattern, std::span<const std::string_view> path) {
  size_t p = 0;
  size_t n = 0;
  size_t star = pattern.size();
  size_t star_at = 0;
  while (n < path.size()) {
    if (p < pattern.size() && pattern[p] == "**") {
      star = p++;
      star_at = n;
    } else if (p < pattern.size() && MatchesName(pattern[p], path[n])) {
      ++p;
      ++n;
    } else if (star < pattern.size()) {
      p = star + 1;
      n = ++star_at;
    } else {
      return false;
    }
  }
  // `a/**` is what is in `a`, not `a` itself.
  return p == pattern.size();
}

std::vector<std::string_view> Names(std::string_view path) {
  std::vector<std::string_view> names;
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    if (!name.empty()) names.push_back(name);
    path.remove_prefix(std::min(name.size() + 1, path.size()));
  }
  return names;
}

// Blanks at the end do not count unless a backslash keeps them.
std::string_view WithoutBlanks(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
  return line;
}

}  // namespace

bool MatchesName(std::string_view pattern, std::string_view name) {
  size_t p = 0;
  size_t n = 0;
  size_t star = std::string_view::npos;
  size_t star_at = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_at = n;
      continue;
    }
    const size_t step = p < pattern.size() ? MatchOne(pattern.substr(p), name[n]) : 0;
    if (step > 0) {
      p += step;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++star_at;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

void IgnoreRules::Add(std::string_view text, const std::string& folder, const std::string& origin) {
  while (!text.empty() && rules_.size() < kMaxRules) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = WithoutBlanks(line);
    if (line.empty() || line.front() == '#') continue;
    Rule rule;
    rule.folder = folder;
    rule.shown = origin + ": " + std::string(line);
    rule.is_exception = line.front() == '!';
    if (rule.is_exception) line.remove_prefix(1);
    rule.directories_only = line.ends_with('/');
    if (rule.directories_only) line.remove_suffix(1);
    rule.is_anywhere = line.find('/') == std::string_view::npos;
    for (const std::string_view name : Names(line)) rule.names.emplace_back(name);
    if (!rule.names.empty()) rules_.push_back(std::move(rule));
  }
}

bool IgnoreRules::Matches(const Rule& rule, const std::string& path) {
  if (!IsAtOrBelow(path, rule.folder) || path == rule.folder) return false;
  const size_t skip = rule.folder.empty() ? 0 : rule.folder.size() + 1;
  const std::vector<std::string_view> names = Names(std::string_view(path).substr(skip));
  if (rule.is_anywhere) return MatchesName(rule.names.front(), names.back());
  return MatchesNames(rule.names, names);
}

std::optional<std::string> IgnoreRules::Find(const std::string& path, NodeType type) const {
  for (size_t i = rules_.size(); i-- > 0;) {
    const Rule& rule = rules_[i];
    if (rule.directories_only && type != NodeType::kDirectory) continue;
    if (Matches(rule, path)) return rule.is_exception ? std::string() : rule.shown;
  }
  return std::nullopt;
}

}  // namespace cordon::shadow
