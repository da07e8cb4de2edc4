#ifndef CORDON_BACKEND_BACKEND_H_
#define CORDON_BACKEND_BACKEND_H_

// One interface for every wall that executes plans: it does exactly what a plan says, or refuses
// and names what it cannot enforce.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backend/end.h"
#include "base/error.h"
#include "base/owned_fd.h"
#include "net/summary.h"
#include "policy/plan.h"

namespace cordon::backend {

struct PlanReport {
  using End = backend::End;
  End end = End::kExited;
  int exit_code = 0;   // as a shell sees it: 124, 126, 127, 137, 128 + n, …
  std::string reason;  // one line, if there is more to say
  int signal = 0;      // that ended the command, 0 if it exited
  bool output_dropped = false;
  bool memory_was_short = false;       // somebody inside was ended for it, the command or another
  bool processes_were_short = false;   // somebody inside was refused one, where that is counted
  std::vector<std::string> not_taken;  // files that were to be taken over and were not, a line each
  std::optional<net::Summary> network;  // what was reached, where the plan has a network
  std::chrono::microseconds wall_time{0};
  // Nothing where nobody counts.
  std::optional<std::chrono::microseconds> cpu_time;
  std::optional<uint64_t> memory_peak_bytes;
  std::optional<uint64_t> output_bytes;
  std::optional<uint64_t> error_bytes;
  std::string limits_by;  // what enforces memory and processes: "cgroup v1", "sampling", …
};

struct PlanRun {
  const policy::Plan& plan;
  // Descriptors 0 and 1 are one terminal, which passes on every byte: the command gets a terminal
  // of its own, and what it does to that is not done to the caller's.
  bool has_terminal = false;
  std::string cache_folder;      // the user's, where Cordon may make folders of its own
  std::string gateway;           // the program, for a plan with a network
  std::string network_log;       // where its decisions are appended
  bool measures_memory = false;  // the report says how much was used, where somebody counts
  // For a plan with a shadow: the workspace as a detached mount. Called inside, while the host's
  // tree is still there.
  std::function<Result<OwnedFd>()> workspace_view = nullptr;
  // Called at most once, where it is known how the command ended while what is left of it is being
  // taken down: the report's end, exit code and reason are those that Run gives.
  std::function<void(const PlanReport&)> on_end = nullptr;
};

class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  // An error names the first thing of the plan that this wall cannot enforce. Runs nothing.
  [[nodiscard]] virtual Status Check(const policy::Plan& plan) const = 0;
  // What is given to the program that puts up the wall, for people; empty where there is none.
  [[nodiscard]] virtual Result<std::string> Describe(const policy::Plan& plan) const = 0;
  // The command is on a terminal of its own where the caller is on one.
  [[nodiscard]] virtual bool MakesTerminal() const { return false; }

  // What the plan runs on the host before has run (supervisor/host_commands.h).
  // Descriptors 0, 1 and 2 of this process are the command's; SIGINT, SIGTERM, SIGHUP, SIGQUIT,
  // SIGUSR1, SIGUSR2 and SIGWINCH go on to it. Nothing survives it, nor this process if that is
  // killed. An error means that nothing ran. The caller has one thread.
  [[nodiscard]] virtual Result<PlanReport> Run(const PlanRun& run) const = 0;
};

// Null for a wall that executes no plans. The object lives as long as the program.
[[nodiscard]] const Backend* BackendOf(policy::Wall wall);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_BACKEND_H_
