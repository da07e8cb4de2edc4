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

// The package manager whose lockfile is in the workspace, or else whose manifest; empty if none or
// if several lockfiles are there (then `ambiguous` names them).
[[nodiscard]] std::string DetectManager(const Beneath& workspace,
                                        std::vector<std::string>* ambiguous);

// A file that says what the preset says, with every other field as a comment that explains it.
// `preset` is one of PresetNames or empty.
[[nodiscard]] std::string StarterText(FileKind kind, std::string_view preset);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_STARTER_H_
