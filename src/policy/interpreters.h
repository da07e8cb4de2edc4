#ifndef CORDON_POLICY_INTERPRETERS_H_
#define CORDON_POLICY_INTERPRETERS_H_

// What runs a script: the program of its first line, wherever that is.

#include <string>
#include <vector>

#include "policy/surroundings.h"

namespace cordon::policy {

// Of the host's file `path`, absolute: the program that its first line names, the one that `env`
// finds there, and every file that a link leads to on the way; nothing if it is no script.
[[nodiscard]] std::vector<std::string> InterpretersOf(const std::string& path,
                                                      const Surroundings& around);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_INTERPRETERS_H_
