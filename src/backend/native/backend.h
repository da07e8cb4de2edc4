#ifndef CORDON_BACKEND_NATIVE_BACKEND_H_
#define CORDON_BACKEND_NATIVE_BACKEND_H_

#include "backend/backend.h"
#include "backend/native/fit.h"
#include "backend/native/keeper.h"

namespace cordon::backend::native {

class NativeBackend : public Backend {
 public:
  [[nodiscard]] Status Check(const policy::Plan& plan) const override { return CheckFits(plan); }
  [[nodiscard]] Result<std::string> Describe(const policy::Plan& /*plan*/) const override {
    return std::string();
  }
  [[nodiscard]] bool MakesTerminal() const override { return true; }
  [[nodiscard]] Result<PlanReport> Run(const PlanRun& run) const override { return RunPlan(run); }
};

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_BACKEND_H_
