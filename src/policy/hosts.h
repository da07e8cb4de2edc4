#ifndef CORDON_POLICY_HOSTS_H_
#define CORDON_POLICY_HOSTS_H_

// Which hosts a package manager uses: what its own configuration, lockfile and program say.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/host_files.h"
#include "policy/host_rule.h"
#include "policy/managers.h"
#include "policy/surroundings.h"

namespace cordon::policy {

struct FoundHost {
  HostRule rule;
  SourceLevel level = SourceLevel::kProject;
  std::string file;   // absolute; the variable's name for a variable
  std::string place;  // "registry in ~/.npmrc"
};

struct ManagerHosts {
  std::vector<FoundHost> hosts;
  // Configuration of the user and the machine that holds nothing secret: the manager needs to see
  // it. And what was left out because it does.
  std::vector<std::string> files;
  std::vector<std::string> secret_files;
  std::vector<std::string> variables;  // that name hosts
};

// `root` is the workspace's path without links, `program` the manager's file without links, empty
// if it is not on this machine. Whatever lies in the workspace is the project's word, whichever
// way it is found.
[[nodiscard]] ManagerHosts FindHosts(const Manager& manager, const Beneath& workspace,
                                     const std::string& root, const std::string& program,
                                     const Surroundings& around);

// Key and value of everything in a file that is a text, keys with dots: "install.registry",
// "index.0.url". Nothing for what cannot be read.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> Flatten(SourceFormat format,
                                                                       std::string_view text);
// The addresses that stand in a line behind one of `keys` (`|` between them).
[[nodiscard]] std::vector<std::pair<std::string, std::string>> ScanText(std::string_view text,
                                                                        std::string_view keys);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_HOSTS_H_
