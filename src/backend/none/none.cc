#include "backend/none/none.h"

#include "backend/native/program.h"
#include "backend/supervisor/sources.h"
#include "backend/supervisor/supervisor.h"

namespace cordon::backend {
namespace {

std::unexpected<Error> Cannot(const std::string& what) {
  return Fail(ErrorCode::kUnsupported, "the wall none cannot enforce: " + what);
}

Result<PlanReport> RunOne(const policy::Plan& plan, const std::string& program,
                          const std::vector<std::string>& command) {
  Outer outer;
  outer.program = program;
  outer.arguments = command;
  outer.directory = plan.directory;
  for (const policy::Variable& variable : plan.environment) {
    outer.variables.push_back(variable.name + "=" + variable.value);
  }
  return Supervise(plan, std::move(outer));
}

std::string ProgramOf(const policy::Plan& plan, const std::vector<std::string>& command) {
  if (&command == &plan.argv) return plan.program;
  for (const policy::Variable& variable : plan.environment) {
    if (variable.name == "PATH") return native::FindIn(variable.value, command.front());
  }
  return {};
}

}  // namespace

Status NoBackend::Check(const policy::Plan& plan) const {
  CORDON_TRY(CheckCommon(plan, policy::Wall::kNone, "none"));
  if (!plan.program.starts_with('/')) return Fail(ErrorCode::kInvalid, "no program");
  if (!plan.mounts.empty()) return Cannot("files of a plan");
  if (plan.network.mode != policy::NetworkMode::kHost) return Cannot("a network of a plan");
  if (!plan.network.ports.empty()) return Cannot("published ports");
  if (!plan.secrets.empty()) return Cannot("secrets as descriptors");
  if (plan.rights.uid || plan.rights.gid) return Cannot("another user");
  if (!plan.rights.capabilities_added.empty()) return Cannot("capabilities");
  const policy::LimitPlan& limits = plan.limits;
  if (limits.memory_bytes || limits.processes || limits.cpus || limits.disk_bytes ||
      limits.open_files) {
    return Cannot("limits other than those of time and output");
  }
  return {};
}

Result<std::string> NoBackend::Describe(const policy::Plan& plan) const {
  std::vector<std::string> words = plan.argv;
  words.front() = plan.program;
  return ShellText(words) + "\n";
}

Result<PlanReport> NoBackend::Run(const PlanRun& run) const {
  CORDON_TRY(Check(run.plan));
  return RunInOrder(run.plan, run.plan.argv,
                    [&](const std::vector<std::string>& command) -> Result<PlanReport> {
                      const std::string program = ProgramOf(run.plan, command);
                      if (program.empty()) {
                        return Fail(ErrorCode::kInvalid, command.front() + ": not found");
                      }
                      return RunOne(run.plan, program, command);
                    });
}

}  // namespace cordon::backend
