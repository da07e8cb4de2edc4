#ifndef CORDON_LIVE_PACKAGE_CALLS_H_
#define CORDON_LIVE_PACKAGE_CALLS_H_

// Packages of a live sandbox: modules of the user's store become files, and programs, while it
// runs. What may be installed was decided by the daemon; here it is only carried out. Where the
// client named the programs that may be started, a package is one of them under such a name.

#include <string>

#include "backend/wasm/keeper.h"
#include "backend/wasm/modules.h"
#include "live/file_calls.h"
#include "live/frame.h"
#include "live/live_sandbox.h"

namespace cordon::live {

[[nodiscard]] inline bool IsPackageCall(Kind kind) {
  return kind >= Kind::kPackageAdd && kind <= Kind::kPackageImprove;
}

// How much code a sandbox and its forks may add.
inline constexpr uint64_t kPackageCodeBytes = uint64_t{1} << 30;

class PackageCalls {
 public:
  PackageCalls(backend::Keeper& keeper, const LiveOptions& options)
      : keeper_(keeper), options_(options) {}

  // -EEXIST: there is a program of that name; -ENOSPC: no more room.
  [[nodiscard]] FileAnswer Answer(const Frame& frame);

 private:
  [[nodiscard]] Status Check(const std::string& name, bool may_shadow);
  [[nodiscard]] Status Add(const std::string& name, const std::string& hash,
                           const std::string& list, bool may_shadow);
  [[nodiscard]] Status Remove(const std::string& name, const std::string& list);
  [[nodiscard]] Result<std::string> Keep(const std::string& name);
  // The best code that there is of a module of the store, into the code window.
  [[nodiscard]] Result<std::vector<std::byte>> Load(const std::string& hash,
                                                    const std::string& shown,
                                                    backend::Permission permission);

  backend::Keeper& keeper_;
  const LiveOptions& options_;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_PACKAGE_CALLS_H_
