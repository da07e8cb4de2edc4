#ifndef CORDON_POLICY_REQUIREMENTS_H_
#define CORDON_POLICY_REQUIREMENTS_H_

// Lines of pip's requirements files, as far as it matters what pip builds for them. A line that is
// not known to be harmless is not.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace cordon::policy {

struct RequirementLine {
  enum class Kind {
    kPlain,  // a package of an index by its name, or an option that builds nothing
    kFile,   // names another file of lines: `text`
    kOther,  // an address, a path, an archive, an option that allows builds, …
  };
  Kind kind = Kind::kOther;
  size_t number = 0;  // of the first line that it stands on, from 1
  std::string text;   // with its continuations, without comments
};

// Without comments and what is empty. An error for a text that pip may read as other characters
// or other lines than these.
[[nodiscard]] Result<std::vector<RequirementLine>> ReadRequirements(std::string_view text);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_REQUIREMENTS_H_
