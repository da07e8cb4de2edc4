#ifndef CORDON_BACKEND_JOBOBJECT_JOBOBJECT_H_
#define CORDON_BACKEND_JOBOBJECT_JOBOBJECT_H_

#include <string>
#include <vector>

#include "backend/backend.h"

namespace cordon::backend {

// What cordon-job.exe is told for a plan. Variables go through a file, `variables`.
[[nodiscard]] std::vector<std::string> MakeJobArguments(const policy::Plan& plan,
                                                        const std::string& variables);

// Job objects of Windows, by a program of its own: limits, and no isolation. Here a plan is made
// into its command line and not executed.
class JobobjectBackend : public Backend {
 public:
  [[nodiscard]] Status Check(const policy::Plan& plan) const override;
  [[nodiscard]] Result<std::string> Describe(const policy::Plan& plan) const override;
  [[nodiscard]] Result<PlanReport> Run(const PlanRun& run) const override;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_JOBOBJECT_JOBOBJECT_H_
