#ifndef CORDON_BACKEND_CONTAINER_CONTAINER_H_
#define CORDON_BACKEND_CONTAINER_CONTAINER_H_

#include "backend/backend.h"

namespace cordon::backend {

// A container of podman or docker, from the image that the plan names.
class ContainerBackend : public Backend {
 public:
  [[nodiscard]] Status Check(const policy::Plan& plan) const override;
  [[nodiscard]] Result<std::string> Describe(const policy::Plan& plan) const override;
  [[nodiscard]] Result<PlanReport> Run(const PlanRun& run) const override;
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_CONTAINER_CONTAINER_H_
