#include "backend/supervisor/host_commands.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "backend/end.h"
#include "base/spawn.h"

namespace cordon::backend {
namespace {

struct Ended {
  int code = 0;   // as a shell sees it
  int error = 0;  // of the start
};

Ended Run(const std::string& directory, const std::vector<std::string>& argv) {
  Spawn spawn;
  spawn.StartIn(directory);
  const Result<pid_t> pid = spawn.Start(argv[0], argv, Spawn::Environment::kOurs);
  if (!pid) return {kNoProgram, pid.error().system_errno};
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), 0};
}

}  // namespace

std::optional<PlanReport> RunHostCommands(const policy::Plan& plan) {
  for (const policy::PreRun& before : plan.pre_run) {
    if (!before.on_host) continue;
    const Ended ended = Run(plan.workspace.root, before.argv);
    if (ended.code == 0) continue;
    PlanReport report;
    report.end = PlanReport::End::kBefore;
    report.exit_code = ended.code;
    report.limits_by = "nobody";
    report.reason = "pre-run command '" + before.argv.front() + "' on the host failed with " +
                    std::to_string(ended.code);
    if (ended.error != 0) report.reason += std::string(": ") + strerror(ended.error);
    return report;
  }
  return std::nullopt;
}

}  // namespace cordon::backend
