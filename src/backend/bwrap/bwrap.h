#ifndef CORDON_BACKEND_BWRAP_BWRAP_H_
#define CORDON_BACKEND_BWRAP_BWRAP_H_

#include "backend/backend.h"

namespace cordon::backend {

// bubblewrap of the machine, told what the plan says.
class BwrapBackend : public Backend {
 public:
  [[nodiscard]] Status Check(const policy::Plan& plan) const override;
  [[nodiscard]] Result<std::string> Describe(const policy::Plan& plan) const override;
  [[nodiscard]] Result<PlanReport> Run(const PlanRun& run) const override;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_BWRAP_BWRAP_H_
