#ifndef CORDON_RPC_PACKAGES_H_
#define CORDON_RPC_PACKAGES_H_

// Packages of a sandbox, as the daemon knows them: the policy, what is installed, and who brings
// more. The sandbox is told what to have and asked nothing.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "packages/install.h"
#include "packages/installed.h"
#include "packages/policy.h"
#include "rpc/call.h"
#include "rpc/package_queue.h"
#include "rpc/server.h"

namespace cordon::rpc {

// One thing after the other, in the order in which they were asked for; each ends with one call of
// its last argument.
class Packages : public std::enable_shared_from_this<Packages> {
 public:
  Packages(Server& server, std::weak_ptr<Sandbox> sandbox, packages::Policy policy,
           packages::InstalledPackages installed = {})
      : server_(server),
        sandbox_(std::move(sandbox)),
        policy_(std::move(policy)),
        installed_(std::move(installed)) {}

  using Line = std::function<void(const std::string&)>;
  struct Done {
    std::string name;
    packages::InstalledPackage package;
    bool is_new = true;  // another hash than before
  };
  template <typename T>
  using Then = std::function<void(const packages::PackageResult<T>&)>;

  void Install(const Asker& asker, const packages::InstallRequest& request, const Line& line,
               const Then<Done>& then);
  // From the index where there is one, otherwise from where it came.
  void Update(const Asker& asker, const std::string& name, const Line& line,
              const Then<Done>& then);
  void Remove(const Asker& asker, const std::string& name, const Then<std::string>& then);
  // Entries of the index whose name or description has the text in it.
  void Search(const Asker& asker, const std::string& text, const Then<packages::Index>& then);
  // Nobody waits for these any more: each ends with kCancelled now, and its processes with it. What
  // is in the sandbox already stays. How many.
  int64_t GiveUp(const PackageQueue::Which& which) { return queue_->GiveUp(which); }
  // The files of the sandbox are others now: what they say is installed, held against the policy.
  // `then` hears what was not taken over, with reasons.
  void TakeOver(std::function<void(const std::vector<std::string>&)> then);

  [[nodiscard]] const packages::Policy& policy() const { return policy_; }
  [[nodiscard]] const packages::InstalledPackages& installed() const { return installed_; }
  // kNotFound if it is not there.
  [[nodiscard]] packages::PackageResult<Done> Find(const std::string& name) const;

 private:
  enum class Mode { kInstall, kUpdate };
  struct TakingOver;

  // What has to be known to bring a package, and who hears of it.
  struct Order {
    Mode mode;
    packages::InstallRequest request;
    Line line;
    ErrandPtr errand;
    Then<Done> then;
  };

  void Bring(const Order& order);
  void RunInstall(const Order& order);
  [[nodiscard]] packages::PackageStatus CheckRoom(Mode mode, const std::string& name) const;
  // The sandbox gets it, or it is not installed.
  void Add(const packages::Installed& brought, int64_t installed_ms, const Then<Done>& then);
  void TakeNext(const std::shared_ptr<TakingOver>& state);
  void TakeKept(const std::shared_ptr<TakingOver>& state, const std::string& name,
                const packages::InstalledPackage& entry, const std::string& hash);
  void Improve(const std::string& hash);
  // Null where there is no sandbox to be asked.
  [[nodiscard]] std::shared_ptr<SandboxLink> LinkOf() const;
  void Audit(const char* type, Json details) const;
  [[nodiscard]] packages::Tools ToolsOf() const;

  Server& server_;
  std::weak_ptr<Sandbox> sandbox_;
  packages::Policy policy_;
  packages::InstalledPackages installed_;
  std::shared_ptr<PackageQueue> queue_ = std::make_shared<PackageQueue>();
};

// Reads packagePolicy of `create`. False: the call was refused.
[[nodiscard]] bool ReadPackagePolicy(const CallPtr& call, live::LiveOptions* options,
                                     const std::shared_ptr<Sandbox>& sandbox);
// A fork has what its origin has, and the same policy.
void InheritPackages(Server& server, const Sandbox& origin,
                     const std::shared_ptr<Sandbox>& sandbox);
// After an import, a load or a restore: `then` hears the report, with what was not taken over among
// "skipped".
void TakeOverPackages(const std::shared_ptr<Sandbox>& sandbox, Json report,
                      const std::function<void(const Json&)>& then);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_PACKAGES_H_
