#ifndef CORDON_LIVE_PACKAGE_CALLS_H_
#define CORDON_LIVE_PACKAGE_CALLS_H_

// Packages of a live sandbox: modules of the user's store become files, and programs, while it runs.
// What may be installed was decided by the daemon.

#include <string>

#include "backend/wasm/keeper.h"
#include "live/file_calls.h"
#include "live/frame.h"

namespace cordon::live {

[[nodiscard]] inline bool IsPackageCall(Kind kind) {
  return kind >= Kind::kPackageAdd && kind <= Kind::kPackageKeep;
}

// How much code a sandbox may add to itself.
inline constexpr uint64_t kPackageCodeBytes = uint64_t{1} << 30;

class PackageCalls {
 public:
  PackageCalls(backend::Keeper& keeper, std::string compiler)
      : keeper_(keeper), compiler_(std::move(compiler)) {}

  [[nodiscard]] FileAnswer Answer(const Frame& frame);

 private:
  [[nodiscard]] Status Add(const std::string& name, const std::string& hash,
                           const std::string& list, bool may_shadow);
  [[nodiscard]] Status Remove(const std::string& name, const std::string& list);
  // The package's file goes into the store: the answer is its hash.
  [[nodiscard]] Result<std::string> Keep(const std::string& name);
  [[nodiscard]] Status WriteList(const std::string& list);

  backend::Keeper& keeper_;
  std::string compiler_;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_PACKAGE_CALLS_H_
