#ifndef CORDON_BACKEND_BWRAP_ARGUMENTS_H_
#define CORDON_BACKEND_BWRAP_ARGUMENTS_H_

#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"
#include "policy/plan.h"

namespace cordon::backend {

// What bubblewrap is told. Options go to it through a descriptor, so that no value of a variable is
// in its command line; sources are descriptors, so that no name is looked up again.
struct BwrapArguments {
  std::vector<std::string> options;
  std::vector<OwnedFd> descriptors;  // number i is descriptor first + i of bubblewrap
};

// `first`: the number of the first descriptor.
[[nodiscard]] Result<BwrapArguments> MakeBwrapArguments(const policy::Plan& plan, int first);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_BWRAP_ARGUMENTS_H_
