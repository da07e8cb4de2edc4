#ifndef CORDON_BACKEND_NSJAIL_CONFIGURATION_H_
#define CORDON_BACKEND_NSJAIL_CONFIGURATION_H_

#include "backend/backend.h"

namespace cordon::backend {

// The configuration file of nsjail for a plan. It has never been run: the program is not in Debian.
class NsjailBackend : public Backend {
 public:
  [[nodiscard]] Status Check(const policy::Plan& plan) const override;
  [[nodiscard]] Result<std::string> Describe(const policy::Plan& plan) const override;
  [[nodiscard]] Result<PlanReport> Run(const PlanRun& run) const override;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_NSJAIL_CONFIGURATION_H_
