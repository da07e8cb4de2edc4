#ifndef CORDON_PKG_INSTALL_H_
#define CORDON_PKG_INSTALL_H_

// From a request to a module in the store, compiled: what the worker process of an installation does.

#include <functional>
#include <string>

#include "pkg/fetch.h"
#include "pkg/index.h"
#include "pkg/policy.h"

namespace cordon::pkg {

struct InstallRequest {
  std::string source;    // an URL, or a name of the index
  std::string name;      // otherwise the URL's
  std::string expected;  // hash, as the user gave it; may be empty
};

struct Installed {
  std::string name;
  std::string hash;
  uint64_t size = 0;
  std::string url;
};

struct Tools {
  Fetcher fetcher;
  std::string compiler;  // cordon-compile
};

// Lines for whoever waits.
using Progress = std::function<void(const std::string&)>;

[[nodiscard]] PackageResult<Index> FetchIndex(const Tools& tools, const Policy& policy);
// Every decision before the first connection that can be made then. Waits, and forks the compiler.
[[nodiscard]] PackageResult<Installed> Install(const Tools& tools, const Policy& policy,
                                               const InstallRequest& request,
                                               const Progress& progress);

// A module that is in the store already, of an import.
[[nodiscard]] PackageResult<Installed> CompileStored(const Tools& tools, const Policy& policy,
                                                     const std::string& name,
                                                     const std::string& hash,
                                                     const Progress& progress);

}  // namespace cordon::pkg

#endif  // CORDON_PKG_INSTALL_H_
