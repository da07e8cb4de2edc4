#ifndef CORDON_SHADOW_MANIFEST_H_
#define CORDON_SHADOW_MANIFEST_H_

// The base: what the workspace was when the shadow was made, and what of it the shadow does not
// have.

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "shadow/node.h"

namespace cordon::shadow {

enum class Absence {
  kNone,        // it is in the shadow
  kIgnored,     // by a rule; what is below it too
  kMount,       // another file system
  kSpecial,     // a FIFO, a socket or a device
  kUnreadable,  // for who made the shadow
  kTooLong,     // its path
};
[[nodiscard]] const char* AbsenceText(Absence absence);

struct BaseEntry {
  Node node;
  Identity real;  // in the workspace
  Identity copy;  // in the shadow's own tree, where it has one
  Absence absence = Absence::kNone;
  std::string detail;  // which rule
};

// By path, relative to the workspace.
using Manifest = std::map<std::string, BaseEntry, std::less<>>;

[[nodiscard]] std::string WriteManifest(const Manifest& manifest);
// `file` is for messages. Paths are checked: relative, no `.`, no `..`, no empty name.
[[nodiscard]] Result<Manifest> ReadManifest(std::string_view bytes, const std::string& file);

// What may be handed to the kernel beneath a directory.
[[nodiscard]] bool IsCleanPath(std::string_view path);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_MANIFEST_H_
