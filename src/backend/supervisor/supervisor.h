#ifndef CORDON_BACKEND_SUPERVISOR_SUPERVISOR_H_
#define CORDON_BACKEND_SUPERVISOR_SUPERVISOR_H_

// Runs a program of the host that puts up a wall by itself, and holds around it what it does not:
// time, output, memory, processes, signals, the end of everything.

#include <functional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/owned_fd.h"

namespace cordon::backend {

struct Outer {
  std::string program;                 // absolute
  std::vector<std::string> arguments;  // with its own name first
  std::vector<std::string> variables;  // NAME=VALUE
  std::string directory;               // where it starts; empty is where the caller is
  std::vector<OwnedFd> descriptors;    // its descriptors 3 and following

  // Who holds memory, processes and processors: the keeper, or the program where it runs others.
  enum class Limits { kKeeper, kItself };
  Limits limits = Limits::kKeeper;
  // In a user namespace as an ordinary user, whoever the caller is.
  enum class User { kCaller, kOrdinary };
  User user = User::kCaller;
  // Of a plan with a network: the gateway's program and its log. The program starts in a network
  // namespace over which the command has no rights, and keeps it.
  std::string gateway;
  std::string network_log;
  // Ended by a program, because what it made is not among its descendants: `podman rm -f NAME`. It
  // runs when the time is over, and if this process is killed.
  std::vector<std::string> ending;
  // Why nothing ran, if the program ended for a reason of its own; looked at after the end.
  std::function<std::string()> own_failure;
};

[[nodiscard]] Result<PlanReport> Supervise(const policy::Plan& plan, Outer outer);

// The program that puts up a plan's wall: where the plan says, or of the caller's search path, but
// for what of that is in the workspace; empty if it is not there.
[[nodiscard]] std::string FindWallProgram(const policy::Plan& plan, const std::string& name);
// Of the caller's environment, what such a program may see of it: none of the plan's, and a search
// path as above.
[[nodiscard]] std::vector<std::string> OuterVariables(const policy::Plan& plan);
// The words as a shell would read them.
[[nodiscard]] std::string ShellText(const std::vector<std::string>& words);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_SUPERVISOR_SUPERVISOR_H_
