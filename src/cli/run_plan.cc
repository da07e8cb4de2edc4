#include "cli/run_plan.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>

#include "backend/backend.h"
#include "backend/native/fit.h"
#include "backend/wasm/run.h"
#include "cli/limits_report.h"
#include "cli/network_log.h"
#include "cli/programs.h"
#include "cli/raw_terminal.h"
#include "cli/run_log.h"
#include "cli/workspace_view.h"
#include "policy/layer.h"
#include "policy/plan_text.h"
#include "policy/surroundings.h"
#include "policy/walls.h"

namespace cordon::cli {
namespace {

int RefuseAll(const std::vector<Error>& errors) {
  for (const Error& error : errors) (void)fprintf(stderr, "cordon: %s\n", error.ToString().c_str());
  return backend::kOwnFailure;
}

int Refuse(ErrorCode code, std::string message, std::string place = {}) {
  return RefuseAll({Error{code, std::move(message), std::move(place), 0}});
}

Status PrepareNetwork(const policy::Surroundings& around, backend::PlanRun* request) {
  if (!backend::native::HasGateway(request->plan)) return {};
  const Result<std::string> gateway = Programs::FindGateway();
  if (!gateway) return std::unexpected(gateway.error());
  const Result<std::string> log = PrepareNetworkLog(around);
  if (!log) return std::unexpected(log.error());
  request->gateway = *gateway;
  request->network_log = *log;
  return {};
}

// Lines after the end: nothing that the command itself has said.
void PrintReport(const backend::PlanReport& report, const PlannedRun& run) {
  if (run.verbose) (void)fprintf(stderr, "cordon: limits by %s\n", report.limits_by.c_str());
  if (!report.reason.empty()) (void)fprintf(stderr, "cordon: %s\n", report.reason.c_str());
  for (const std::string& line : report.not_taken)
    (void)fprintf(stderr, "cordon: %s\n", line.c_str());
  if (report.output_dropped) (void)fputs("cordon: limit output\n", stderr);
  if (report.network && !run.quiet) {
    (void)fprintf(stderr, "cordon: %s\n", report.network->ToString().c_str());
  }
}

int PrintSummary(WorkspaceView view, const PlannedRun& run) {
  if (run.quiet) return 0;
  const Result<std::string> summary = std::move(view).Summary();
  if (!summary) return RefuseAll({summary.error()});
  (void)fprintf(stderr, "cordon: %s\n", summary->c_str());
  return 0;
}

// Most plans are for this wall, and what it needs takes longer than they do.
std::unique_ptr<backend::Preparation> PrepareWall(const PlannedRun& run) {
  const std::string& wall = run.request.wall;
  if (run.dry_run || (!wall.empty() && wall != "native" && wall != "auto")) return nullptr;
  return backend::BackendOf(policy::Wall::kNative)->Prepare();
}

int Execute(const backend::Backend& wall, const policy::Plan& plan,
            const policy::Surroundings& around, const PlannedRun& run,
            backend::Preparation* preparation) {
  backend::PlanRun request = {
      .plan = plan, .preparation = preparation, .cache_folder = around.cache_home};
  if (const Status fits = wall.Check(plan); !fits) return RefuseAll({fits.error()});
  if (const Status prepared = PrepareNetwork(around, &request); !prepared) {
    return RefuseAll({prepared.error()});
  }
  std::optional<WorkspaceView> view;
  if (plan.workspace.shadow) {
    Result<WorkspaceView> opened = WorkspaceView::Open(plan, around);
    if (!opened) return RefuseAll({opened.error()});
    view.emplace(std::move(*opened));
    request.workspace_view = [&view] { return view->view().MakeMount(); };
  }
  OwnedFd report_file;
  if (!run.report.empty()) {
    Result<OwnedFd> opened = OpenReport(run.report);
    if (!opened) return RefuseAll({opened.error()});
    report_file = std::move(*opened);
  }
  std::optional<RawTerminal> terminal;
  if (wall.MakesTerminal() && RawTerminal::IsThere()) terminal.emplace();
  request.has_terminal = terminal.has_value();
  const Result<backend::PlanReport> report = wall.Run(request);
  // Before anything is printed.
  terminal.reset();
  if (!report) return RefuseAll({report.error()});
  PrintReport(*report, run);
  AppendRunLog(around, plan, *report);
  if (report_file.valid()) {
    const Status written = WriteReport(report_file, *report, request.network_log);
    if (!written) return RefuseAll({written.error()});
  }
  if (view && PrintSummary(std::move(*view), run) != 0) return backend::kOwnFailure;
  return report->exit_code;
}

}  // namespace

void AddPlanOptions(CLI::App* command, PlannedRun& run, Profile profile) {
  command->add_option("--wall,--backend", run.request.wall,
                      "native, bwrap, podman, docker, none; wasm whatever a policy says");
  command->add_flag("--shadow", run.request.shadow,
                    "work on a copy-on-write view; afterwards cordon diff, commit or discard");
  command->add_flag("--quiet", run.quiet, "no summary after the command");
  command->add_flag("--dry-run", run.dry_run, "show the plan and run nothing");
  command->add_option("--image", run.request.image, "for podman and docker");
  command->add_option("--plan", run.hash, "refuse unless the plan has this hash (cordon plan)");
  if (profile == Profile::kOption) {
    command->add_option("--profile", run.request.profile, "of the policy");
  }
  command->add_option("--config", run.request.config, "the project's policy");
  command->add_option("--workspace", run.request.workspace, "the directory that it works in");
}

bool WantsPlan(const PlannedRun& run, Command command) {
  if (run.request.wall == "wasm" && run.hash.empty()) return false;
  if (run.request.shadow || run.dry_run || !run.request.wall.empty() || !run.hash.empty() ||
      !run.request.profile.empty() || !run.request.config.empty() ||
      !run.request.workspace.empty() || !run.request.image.empty())
    return true;
  if (command == Command::kScript || run.request.argv.empty()) return false;
  return !policy::FindProjectFile(policy::Surroundings::OfThisProcess().directory).empty();
}

int RunPlanned(PlannedRun& run) {
  if (!run.foreign_option.empty()) {
    return Refuse(ErrorCode::kInvalid,
                  "only for the wasm wall; here the policy decides (--wall wasm)",
                  run.foreign_option);
  }
  if (const Status parsed = ParseVariables(run.environment, &run.request); !parsed) {
    return RefuseAll({parsed.error()});
  }
  std::unique_ptr<backend::Preparation> preparation = PrepareWall(run);
  const policy::Surroundings around = policy::Surroundings::OfThisProcess();
  const policy::Planned planned = policy::MakePlan(run.request, around);
  if (!planned.plan) return RefuseAll(planned.errors);
  if (planned.plan->wall != policy::Wall::kNative) preparation.reset();
  const policy::Plan& plan = *planned.plan;
  if (run.dry_run) {
    (void)fputs(policy::PlanText(plan, {}).c_str(), stdout);
    return plan.refusals.empty() ? 0 : RefuseAll(plan.refusals);
  }
  if (!run.hash.empty() && plan.refusals.empty() && policy::PlanHash(plan) != run.hash) {
    return Refuse(ErrorCode::kInvalid, "the plan has become another, " + policy::PlanHash(plan),
                  "--plan");
  }
  return ExecutePlan(plan, around, run, preparation.get());
}

int ExecutePlan(const policy::Plan& plan, const policy::Surroundings& around, const PlannedRun& run,
                backend::Preparation* preparation) {
  if (!plan.refusals.empty()) return RefuseAll(plan.refusals);
  const backend::Backend* wall = backend::BackendOf(plan.wall);
  if (wall == nullptr) {
    return Refuse(ErrorCode::kUnsupported, std::string("plans for the wall ") +
                                               policy::WallName(plan.wall) +
                                               " are not executed in this version");
  }
  return Execute(*wall, plan, around, run, preparation);
}

Status ParseVariables(const std::vector<std::string>& words, policy::PlanRequest* request) {
  for (const std::string& variable : words) {
    const size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Fail(ErrorCode::kInvalid, "expected NAME=VALUE, got '" + variable + "'", "--env");
    }
    request->environment.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return {};
}

}  // namespace cordon::cli
