#ifndef CORDON_POLICY_INSTALL_SOURCES_H_
#define CORDON_POLICY_INSTALL_SOURCES_H_

// What a package manager builds while it brings packages here, although it is told to build
// nothing.

#include <vector>

#include "base/error.h"
#include "policy/host_files.h"
#include "policy/install.h"

namespace cordon::policy {

// Everything in the project's own files that has the first phase run what is in a package, each
// with its place; nothing of what an index says later. What cannot be understood is named, too.
[[nodiscard]] std::vector<Error> FindBuiltSources(const InstallSteps& steps,
                                                  const Beneath& project);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_INSTALL_SOURCES_H_
