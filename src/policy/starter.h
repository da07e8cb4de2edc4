#ifndef CORDON_POLICY_STARTER_H_
#define CORDON_POLICY_STARTER_H_

// The text of a new policy file, from the schema.

#include <string>
#include <string_view>
#include <vector>

#include "policy/document.h"
#include "policy/host_files.h"

namespace cordon::policy {

// What `cordon init --preset` knows: package managers and languages.
[[nodiscard]] std::vector<std::string> PresetNames();

// "npm, pip", for a sentence.
[[nodiscard]] std::string ListText(const std::vector<std::string>& words);

// The package manager whose lockfile is in the workspace, or else whose manifest; empty if none or
// if several lockfiles are there (then `ambiguous` names them).
[[nodiscard]] std::string DetectManager(const Beneath& workspace,
                                        std::vector<std::string>* ambiguous);

// What a project's new policy says; what is empty is left to its default.
struct ProjectChoices {
  std::string preset;              // one of PresetNames
  std::string image;               // of a container; without one, the host's programs
  std::vector<std::string> hosts;  // for commands that no rule names
  std::vector<std::string> writable_paths;
  std::vector<std::string> exclude_paths;
  std::vector<std::string> variables;  // of the host, passed through
  std::string memory;
  std::string wall_time;
};

// Files that say that, or what a user's own policy begins with, with every other field as a
// comment that explains it.
[[nodiscard]] std::string ProjectStarterText(const ProjectChoices& choices);
[[nodiscard]] std::string UserStarterText();

}  // namespace cordon::policy

#endif  // CORDON_POLICY_STARTER_H_
