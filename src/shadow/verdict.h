#ifndef CORDON_SHADOW_VERDICT_H_
#define CORDON_SHADOW_VERDICT_H_

// What a change would mean for the host: refused, or worth a word.

#include <string>
#include <vector>

#include "shadow/changes.h"

namespace cordon::shadow {

struct Verdict {
  // Why it is not committed; empty if it is.
  std::string refusal;
  // Naming the path itself, or a protected one that it is in, overrules the refusal.
  bool yields_to_name = false;
  std::vector<std::string> notes;
};

[[nodiscard]] Verdict Judge(const Change& change);

// `name` is a path that the user gave: it names a change of that path, or of what is in it if it is
// protected. A directory with protected paths somewhere in it does not name them.
[[nodiscard]] bool Names(const std::string& name, const Change& change);

// Where a link leads is outside of the workspace, by its text.
[[nodiscard]] bool LeadsOutside(const std::string& path, const std::string& target);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_VERDICT_H_
