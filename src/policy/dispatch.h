#ifndef CORDON_POLICY_DISPATCH_H_
#define CORDON_POLICY_DISPATCH_H_

// What a command line means: the same command, as a person would name it.

#include <string>
#include <vector>

#include "policy/managers.h"

namespace cordon::policy {

// The readings of a command, from what was typed to what it comes to: without the program's
// directory, without `env`, `nice`, `sh -c` and what else only starts it, without options before
// the subcommand, with the subcommand's full name. Never empty.
[[nodiscard]] std::vector<std::vector<std::string>> ReadCommand(
    const std::vector<std::string>& argv);

// The first reading that a pattern matches, or null.
[[nodiscard]] const std::vector<std::string>* MatchReadings(
    const std::string& pattern, const std::vector<std::vector<std::string>>& readings);

enum class ManagerTask { kNone, kInstall, kBuild };
// What the manager is asked to do, and by which of its patterns.
[[nodiscard]] ManagerTask TaskOf(const Manager& manager,
                                 const std::vector<std::vector<std::string>>& readings,
                                 std::string* pattern);

// A package is named, which the manager writes down in the project's manifest.
[[nodiscard]] bool AddsPackage(const Manager& manager,
                               const std::vector<std::vector<std::string>>& readings);

// "npm install 'a b'", as a shell would read it.
[[nodiscard]] std::string JoinCommand(const std::vector<std::string>& argv);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_DISPATCH_H_
