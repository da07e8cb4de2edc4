#ifndef CORDON_POLICY_GIT_MARKS_H_
#define CORDON_POLICY_GIT_MARKS_H_

// What git knows a repository by: its name can be any (gitrepository-layout(5)). Some file systems
// take names in capital and small letters for the same.

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string_view>

namespace cordon::policy {

// Given the names in a directory, says what git takes it for.
class GitMarks {
 public:
  [[nodiscard]] static bool IsMark(std::string_view name) { return Find(name) != std::end(kNames); }
  void Add(std::string_view name) {
    const auto* found = Find(name);
    if (found != std::end(kNames)) has_[found - std::begin(kNames)] = true;
  }
  [[nodiscard]] bool IsRepository() const { return has_[0] && has_[1] && has_[2]; }
  // Of one whose repository is elsewhere, the folder in that.
  [[nodiscard]] bool IsWorktree() const { return has_[0] && has_[3]; }

 private:
  static const std::string_view* Find(std::string_view name) {
    const auto small = [](unsigned char c) { return std::tolower(c); };
    return std::ranges::find_if(kNames, [&](std::string_view mark) {
      return std::ranges::equal(mark, name, {}, small, small);
    });
  }
  static constexpr std::string_view kNames[] = {"HEAD", "objects", "refs", "commondir"};
  bool has_[std::size(kNames)] = {};
};

}  // namespace cordon::policy

#endif  // CORDON_POLICY_GIT_MARKS_H_
