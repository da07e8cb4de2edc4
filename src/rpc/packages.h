#ifndef CORDON_RPC_PACKAGES_H_
#define CORDON_RPC_PACKAGES_H_

// Packages of a sandbox, as the daemon knows them: the policy, what is installed, and the processes
// that bring more. The sandbox is told what to have and asked nothing.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pkg/install.h"
#include "pkg/policy.h"
#include "rpc/server.h"

namespace cordon::rpc {

struct InstalledPackage {
  std::string hash;
  uint64_t size = 0;
  std::string url;
  int64_t installed_seconds = 0;
};

// One thing after the other; each ends with one call of its `then`.
class Packages : public std::enable_shared_from_this<Packages> {
 public:
  Packages(Server& server, pkg::Policy policy) : server_(server), policy_(std::move(policy)) {}

  // The error, or null and the package that it is about.
  struct Outcome {
    std::string error_code;
    std::string error_text;
    std::string name;
    InstalledPackage package;
    pkg::Index index;  // of Search
  };
  using Then = std::function<void(const Outcome&)>;
  using Line = std::function<void(const std::string&)>;

  void Install(const std::shared_ptr<Sandbox>& sandbox, const pkg::InstallRequest& request,
               bool replaces, Line progress, Then then);
  void Remove(const std::shared_ptr<Sandbox>& sandbox, const std::string& name, Then then);
  void Search(Then then);
  // After an import: what the files of the sandbox say is installed. `then` hears of each that is
  // not taken over, and last an outcome without a name.
  void TakeOver(const std::shared_ptr<Sandbox>& sandbox, const Json& list, Then then);

  [[nodiscard]] const pkg::Policy& policy() const { return policy_; }
  [[nodiscard]] const std::map<std::string, InstalledPackage>& installed() const {
    return installed_;
  }

  struct Job;  // a worker process

 private:
  void RunWorker(std::function<Json(const Line&)> work, Line progress,
                 std::function<void(const Json&)> then);
  void Add(const std::shared_ptr<Sandbox>& sandbox, const std::string& name,
           const InstalledPackage& package, const Then& then);
  [[nodiscard]] std::string ListText() const;
  [[nodiscard]] pkg::Tools ToolsOf() const;

  Server& server_;
  pkg::Policy policy_;
  std::map<std::string, InstalledPackage> installed_;
};

}  // namespace cordon::rpc

#endif  // CORDON_RPC_PACKAGES_H_
