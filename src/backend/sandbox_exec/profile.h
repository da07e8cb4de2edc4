#ifndef CORDON_BACKEND_SANDBOX_EXEC_PROFILE_H_
#define CORDON_BACKEND_SANDBOX_EXEC_PROFILE_H_

#include "backend/backend.h"

namespace cordon::backend {

// The profile of macOS's sandbox-exec for a plan. It has never been run: there is no such machine
// here. It isolates from no process, so that plans that want that are refused.
class SandboxExecBackend : public Backend {
 public:
  [[nodiscard]] Status Check(const policy::Plan& plan) const override;
  [[nodiscard]] Result<std::string> Describe(const policy::Plan& plan) const override;
  [[nodiscard]] Result<PlanReport> Run(const PlanRun& run) const override;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_SANDBOX_EXEC_PROFILE_H_
