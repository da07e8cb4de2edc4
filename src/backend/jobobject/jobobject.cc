#include "backend/jobobject/jobobject.h"

#include "backend/supervisor/sources.h"
#include "backend/supervisor/supervisor.h"

namespace cordon::backend {
namespace {

std::unexpected<Error> Cannot(const std::string& what) {
  return Fail(ErrorCode::kUnsupported, "the wall jobobject cannot enforce: " + what);
}

Status CheckJob(const policy::Plan& plan) {
  CORDON_TRY(CheckCommon(plan, policy::Wall::kJobobject, "jobobject"));
  if (!plan.mounts.empty()) return Cannot("files of a plan");
  if (plan.network.mode != policy::NetworkMode::kHost || !plan.network.ports.empty()) {
    return Cannot("a network of a plan");
  }
  if (!plan.secrets.empty()) return Cannot("secrets as descriptors");
  if (!plan.pre_run.empty()) return Cannot("commands before");
  if (plan.rights.uid || plan.rights.gid) return Cannot("another user");
  if (!plan.rights.capabilities_added.empty()) return Cannot("capabilities");
  const policy::LimitPlan& limits = plan.limits;
  if (limits.cpus || limits.disk_bytes || limits.open_files) {
    return Cannot("limits other than those of memory, processes, time and output");
  }
  return {};
}

}  // namespace

std::vector<std::string> MakeJobArguments(const policy::Plan& plan, const std::string& variables) {
  std::vector<std::string> words = {"cordon-job.exe", "--directory", plan.directory, "--variables",
                                    variables};
  const auto limit = [&words](const char* name, std::optional<uint64_t> value) {
    if (value) words.insert(words.end(), {name, std::to_string(*value)});
  };
  const auto time = [&limit](const char* name,
                             const std::optional<std::chrono::milliseconds>& value) {
    if (value) limit(name, static_cast<uint64_t>(value->count()));
  };
  limit("--memory", plan.limits.memory_bytes);
  limit("--processes", plan.limits.processes);
  time("--cpu-time-ms", plan.limits.cpu_time);
  time("--wall-time-ms", plan.limits.wall_time);
  limit("--output", plan.limits.output_bytes);
  words.emplace_back("--");
  words.insert(words.end(), plan.argv.begin(), plan.argv.end());
  return words;
}

Status JobobjectBackend::Check(const policy::Plan& plan) const {
  CORDON_TRY(CheckJob(plan));
  return Fail(ErrorCode::kUnsupported,
              "the wall jobobject is Windows': cordon-job.exe runs this plan there, told what "
              "cordon plan --show-command says");
}

Result<std::string> JobobjectBackend::Describe(const policy::Plan& plan) const {
  CORDON_TRY(CheckJob(plan));
  return ShellText(MakeJobArguments(plan, "FILE")) + "\n";
}

Result<PlanReport> JobobjectBackend::Run(const PlanRun& run) const {
  CORDON_TRY(Check(run.plan));
  return Fail(ErrorCode::kInternal, "not executed");
}

}  // namespace cordon::backend
