#ifndef CORDON_SHADOW_IGNORE_H_
#define CORDON_SHADOW_IGNORE_H_

// What of a workspace a shadow leaves out: rules as in .gitignore. A file of rules may be hostile;
// it can only make the command see less, and what it leaves out is listed with every diff.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "shadow/tree.h"

namespace cordon::shadow {

class IgnoreRules {
 public:
  // The lines of a file of rules for what is in `folder`; `origin` names it in diffs. Later rules
  // win over earlier ones.
  void Add(std::string_view text, const std::string& folder, const std::string& origin);

  // The last rule that names `path`: as "origin: pattern" if it leaves it out, empty if it is an
  // exception. What is in a directory that is left out is not asked about.
  [[nodiscard]] std::optional<std::string> Find(const std::string& path, NodeType type) const;

 private:
  struct Rule {
    std::vector<std::string> names;  // of the pattern; "**" is any number of directories
    std::string folder;
    std::string shown;
    bool is_anywhere = false;  // matches the last name at any depth
    bool is_exception = false;
    bool directories_only = false;
  };
  [[nodiscard]] static bool Matches(const Rule& rule, const std::string& path);

  std::vector<Rule> rules_;
};

// `*`, `?`, `[a-z]`, `[!a]` and `\` within one name; in time proportional to the product of the
// lengths whatever the pattern is.
[[nodiscard]] bool MatchesName(std::string_view pattern, std::string_view name);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_IGNORE_H_
