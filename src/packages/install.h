#ifndef CORDON_PACKAGES_INSTALL_H_
#define CORDON_PACKAGES_INSTALL_H_

// From a request to a module in the store with machine code in the compile cache. What a worker
// process does for a sandbox's daemon; nothing of the sandbox is here.

#include <functional>
#include <string>

#include "base/error.h"
#include "packages/fetcher_process.h"
#include "packages/index.h"
#include "packages/policy.h"

namespace cordon::packages {

struct Tools {
  Fetcher fetcher;
  std::string compiler;  // cordon-compile
};

struct InstallRequest {
  std::string source;    // an URL, or a name of the index
  std::string name;      // empty: the URL's, or the index's
  std::string expected;  // hash, as the user gave it; may be empty
};

struct Installed {
  std::string name;
  std::string hash;
  uint64_t size = 0;
  std::string url;
  bool is_optimised = false;
};

// Lines for whoever waits.
using Progress = std::function<void(const std::string&)>;

// What the policy's index has: checked against its key where the policy has one.
[[nodiscard]] PackageResult<Index> FetchIndex(const Tools& tools, const Policy& policy);

// The name that a package gets; decided before anything is fetched.
[[nodiscard]] PackageResult<std::string> NameOf(const InstallRequest& request);

// Every decision that can be made before a connection is made before it. Waits, and starts the
// fetcher and the compiler.
[[nodiscard]] PackageResult<Installed> Install(const Tools& tools, const Policy& policy,
                                               const InstallRequest& request,
                                               const Progress& progress);

// The same for a module that is in the store: an import brought it.
[[nodiscard]] PackageResult<Installed> CompileStored(const Tools& tools, const Policy& policy,
                                                     const std::string& name,
                                                     const std::string& hash,
                                                     const Progress& progress);

// Better code of a module that is in the store, for the compile cache. Takes a minute for a large
// one, on one processor.
[[nodiscard]] Status OptimiseStored(const Tools& tools, const std::string& hash);

}  // namespace cordon::packages

#endif  // CORDON_PACKAGES_INSTALL_H_
