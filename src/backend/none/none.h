#ifndef CORDON_BACKEND_NONE_NONE_H_
#define CORDON_BACKEND_NONE_NONE_H_

#include "backend/backend.h"

namespace cordon::backend {

// No wall: the command is a process of the caller's, with the plan's variables, time and output.
// Chosen by nobody but the user, by its name.
class NoBackend : public Backend {
 public:
  [[nodiscard]] Status Check(const policy::Plan& plan) const override;
  [[nodiscard]] Result<std::string> Describe(const policy::Plan& plan) const override;
  [[nodiscard]] Result<PlanReport> Run(const PlanRun& run) const override;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_NONE_NONE_H_
