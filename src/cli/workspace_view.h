#ifndef CORDON_CLI_WORKSPACE_VIEW_H_
#define CORDON_CLI_WORKSPACE_VIEW_H_

// The shadow that a command works in: the workspace's own if it has one, else a new one.

#include <optional>
#include <string>

#include "policy/plan.h"
#include "policy/surroundings.h"
#include "shadow/view.h"

namespace cordon::cli {

class WorkspaceView {
 public:
  [[nodiscard]] static Result<WorkspaceView> Open(const policy::Plan& plan,
                                                  const policy::Surroundings& around);
  [[nodiscard]] const shadow::View& view() const { return view_; }
  // "shadow 1234, +1 ~2 -0; cordon diff, cordon commit or cordon discard"; after the command.
  [[nodiscard]] Result<std::string> Summary() &&;

 private:
  WorkspaceView(shadow::Store store, shadow::View view)
      : store_(std::move(store)), view_(std::move(view)) {}
  shadow::Store store_;
  shadow::View view_;
};

}  // namespace cordon::cli

#endif  // CORDON_CLI_WORKSPACE_VIEW_H_
