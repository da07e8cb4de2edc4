#ifndef CORDON_BACKEND_WASM_TEMPLATE_START_H_
#define CORDON_BACKEND_WASM_TEMPLATE_START_H_

// How the keeper executes the template inside a PID namespace and still is its parent: a helper
// enters the namespaces, clones with CLONE_PARENT and is gone. An init could not do it,
// CLONE_PARENT is refused to it.

#include <sched.h>
#include <sys/types.h>

#include <array>

#include "backend/wasm/family.h"
#include "base/error.h"

namespace cordon::backend {

// The namespaces that the init makes, for all of the family, while the template is being started.
inline constexpr int kMadeBeside = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

struct TemplateStart {
  int template_fd = -1;
  // In the order of TemplateFd; -1 where there is none.
  std::array<int, 6> fds = {-1, -1, -1, -1, -1, -1};
  TemplateGroup group = TemplateGroup::kOwnSession;
  int init_pidfd = -1;  // -1: no namespaces
  int init = -1;        // a socket to it: says by a byte whether it has kMadeBeside
  Isolation isolation;  // the namespaces that were had are added

  // The template's process id.
  [[nodiscard]] Result<pid_t> Run();

  // Written by the helpers, which share the caller's memory while it waits for them.
  pid_t pid = -1;
  const char* failed_call = nullptr;
  int failed_errno = 0;
};

[[nodiscard]] bool DropAllCapabilities();

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_TEMPLATE_START_H_
