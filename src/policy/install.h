#ifndef CORDON_POLICY_INSTALL_H_
#define CORDON_POLICY_INSTALL_H_

// Installing packages in two phases: everything is brought here without running what is in it, then
// what packages want run runs without a network.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "policy/managers.h"

namespace cordon::policy {

// A command that runs before anything is brought here, without a network.
struct Preparation {
  std::vector<std::string> argv;
  std::string if_it_fails;  // what it means
};

struct InstallSteps {
  const Manager* manager = nullptr;
  bool is_frozen = false;              // a lockfile decides the versions
  std::vector<std::string> lockfiles;  // that are there, relative to the project
  std::vector<Preparation> before;
  std::vector<std::vector<std::string>> download;
  std::vector<std::vector<std::string>> scripts;
  std::vector<std::pair<std::string, std::string>> variables;
  std::vector<std::string> audit;  // empty if the manager has none
};

// Of the project in `folder`. `name` is a manager's; empty is the one whose files are there: by its
// lockfile, or by its manifest where there is none. An error names those that it could be.
// `words` are further ones of the user's, for the commands that take them.
[[nodiscard]] Result<InstallSteps> FindInstallSteps(const std::string& folder,
                                                    const std::string& name,
                                                    const std::vector<std::string>& words = {});

}  // namespace cordon::policy

#endif  // CORDON_POLICY_INSTALL_H_
