#ifndef CORDON_BACKEND_CONTAINER_ARGUMENTS_H_
#define CORDON_BACKEND_CONTAINER_ARGUMENTS_H_

#include <string>
#include <vector>

#include "base/error.h"
#include "policy/plan.h"

namespace cordon::backend {

// What a container engine is told.
struct EngineUse {
  std::string engine;  // "podman", "docker"
  bool rootless = false;
  uint32_t uid = 0;  // the caller
  uint32_t gid = 0;
  uint64_t descriptors = 1024;  // the most that this user may have; what the plan says if less
  uint64_t processes = 4096;
  // Of a core: with 1 a crash starts no program of the host, with 0 it does (native/rights.cc).
  uint64_t core_bytes = 0;
  std::string name;         // of the container
  std::string env_file;     // a file with the plan's variables
  std::string filter_file;  // the engine's system call filter; empty for its own
  std::string empty_file;   // what covers a file that is hidden
  std::string empty_folder;
  std::string resolver_file;  // of a plan whose network is the gateway's
};

// Of `create` and `run`: everything between that word and the image.
[[nodiscard]] Result<std::vector<std::string>> MakeEngineOptions(const policy::Plan& plan,
                                                                 const EngineUse& use);
// The text of an env file; an error names a variable that such a file cannot hold.
[[nodiscard]] Result<std::string> MakeEnvFile(const policy::Plan& plan);
// Which session a plan may use: one that was made for the same, whatever command runs in it.
[[nodiscard]] std::string SessionKey(const policy::Plan& plan);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_CONTAINER_ARGUMENTS_H_
