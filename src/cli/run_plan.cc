#include "cli/run_plan.h"

#include <memory>
#include <optional>

#include "backend/backend.h"
#include "backend/native/fit.h"
#include "backend/supervisor/host_commands.h"
#include "backend/wasm/run.h"
#include "base/units.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/network_log.h"
#include "cli/paint.h"
#include "cli/programs.h"
#include "cli/raw_terminal.h"
#include "cli/result.h"
#include "cli/run_log.h"
#include "cli/variable.h"
#include "cli/workspace_view.h"
#include "policy/layer.h"
#include "policy/plan_text.h"
#include "policy/surroundings.h"
#include "policy/walls.h"

namespace cordon::cli {
namespace {

int RefuseAll(const std::vector<Error>& errors, RunOutcome* outcome) {
  for (const Error& error : errors) Complain(error);
  outcome->refusals.insert(outcome->refusals.end(), errors.begin(), errors.end());
  const bool is_missing = errors.size() == 1 && errors.front().code == ErrorCode::kNotFound;
  return is_missing ? backend::kNoProgram : backend::kOwnFailure;
}

int Refuse(RunOutcome* outcome, ErrorCode code, std::string message, std::string place = {}) {
  return RefuseAll({Error{code, std::move(message), std::move(place), 0}}, outcome);
}

Status PrepareNetwork(const policy::Surroundings& around, backend::PlanRun* request) {
  const bool has_gateway = backend::native::HasGateway(request->plan);
  if (!has_gateway && request->plan.network.ports.empty()) return {};
  const Result<std::string> gateway = Programs::FindGateway();
  if (!gateway) return std::unexpected(gateway.error());
  request->gateway = *gateway;
  if (!has_gateway) return {};
  const Result<std::string> log = PrepareNetworkLog(around);
  if (!log) return std::unexpected(log.error());
  request->network_log = *log;
  return {};
}

// Lines after the end: nothing that the command itself has said.
void PrintReport(const backend::PlanReport& report, const policy::Plan& plan,
                 const PlannedRun& run) {
  if (run.verbose) Complain("limits by " + report.limits_by);
  if (!report.reason.empty()) Complain(report.reason);
  for (const std::string& line : report.not_taken) Complain(line);
  if (report.memory_was_short && report.end != backend::End::kMemory) {
    Complain("limit memory " + FormatSize(*plan.limits.memory_bytes));
  }
  if (report.processes_were_short) {
    Complain("limit processes " + std::to_string(*plan.limits.processes));
  }
  if (report.output_dropped) Complain("limit output");
  if (report.exit_code != 0 && !run.quiet) {
    for (const std::string& hint : plan.hints) Complain(hint);
  }
  if (report.network && !run.quiet) Complain(report.network->ToString());
}

Status PrintSummary(WorkspaceView view, const PlannedRun& run) {
  if (run.quiet) return {};
  const Result<std::string> summary = std::move(view).Summary();
  if (!summary) return std::unexpected(summary.error());
  Complain(*summary);
  return {};
}

// What the user is told, on standard error, in files and by the outcome.
Status Tell(const backend::PlanReport& report, const policy::Plan& plan, const PlannedRun& run,
            const std::string& network_log, const OwnedFd& report_file, RunOutcome* outcome) {
  PrintReport(report, plan, run);
  if (!run.json && !report_file.valid()) return {};
  outcome->result = ResultText(report, plan, network_log);
  return report_file.valid() ? WriteReport(report_file, outcome->result) : Status();
}

Result<int> Execute(const backend::Backend& wall, const policy::Plan& plan,
                    const policy::Surroundings& around, const PlannedRun& run,
                    RunOutcome* outcome) {
  backend::PlanRun request = {.plan = plan, .cache_folder = around.cache_home};
  CORDON_TRY(wall.Check(plan));
  CORDON_TRY(PrepareNetwork(around, &request));
  std::optional<WorkspaceView> view;
  if (plan.workspace.shadow) {
    Result<WorkspaceView> opened = WorkspaceView::Open(plan, around);
    if (!opened) return std::unexpected(opened.error());
    view.emplace(std::move(*opened));
    request.workspace_view = [&view] { return view->view().MakeMount(); };
  }
  OwnedFd report_file;
  if (!run.report.empty()) {
    Result<OwnedFd> opened = OpenReport(run.report);
    if (!opened) return std::unexpected(opened.error());
    report_file = std::move(*opened);
  }
  request.measures_memory = run.json || report_file.valid();
  bool is_logged = false;
  request.on_end = [&](const backend::PlanReport& report) {
    AppendRunLog(around, plan, report);
    is_logged = true;
  };
  const std::optional<backend::PlanReport> before = backend::RunHostCommands(plan);
  std::optional<RawTerminal> terminal;
  if (!before && wall.MakesTerminal() && RawTerminal::IsThere()) terminal.emplace();
  request.has_terminal = terminal.has_value();
  const Result<backend::PlanReport> report = before ? *before : wall.Run(request);
  // Before anything is printed.
  terminal.reset();
  if (!report) return std::unexpected(report.error());
  if (!is_logged) AppendRunLog(around, plan, *report);
  CORDON_TRY(Tell(*report, plan, run, request.network_log, report_file, outcome));
  if (view) CORDON_TRY(PrintSummary(std::move(*view), run));
  return report->exit_code;
}

int ExecutePlan(const policy::Plan& plan, const policy::Surroundings& around, const PlannedRun& run,
                RunOutcome* outcome) {
  if (!plan.refusals.empty()) return RefuseAll(plan.refusals, outcome);
  const backend::Backend* wall = backend::BackendOf(plan.wall);
  if (wall == nullptr) {
    return Refuse(outcome, ErrorCode::kUnsupported,
                  std::string("plans for the wall ") + policy::WallName(plan.wall) +
                      " are not executed in this version");
  }
  const Result<int> exit_code = Execute(*wall, plan, around, run, outcome);
  return exit_code ? *exit_code : RefuseAll({exit_code.error()}, outcome);
}

bool IsPlanHash(std::string_view text) {
  constexpr size_t kDigits = 64;
  return text.size() == kDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

void AddPlanOptions(Command& command, PlannedRun& run, Profile profile) {
  command
      .AddOption("--wall,--backend", run.request.wall,
                 "native, bwrap, podman, docker, none; wasm whatever a policy says")
      .NotEmpty();
  AddPolicyOptions(command, run.request);
  command.AddFlag("--shadow", run.request.shadow,
                  "work on a copy-on-write view; afterwards cordon diff, commit or discard");
  command.AddFlag("--quiet", run.quiet, "no summary after the command");
  const Option dry_run = command.AddFlag("--dry-run", run.dry_run, "show the plan and run nothing");
  command
      .AddFlag("--json", run.json,
               "what came of it as one line of JSON on standard output; what is run writes its "
               "output to standard error")
      .Excludes(dry_run);
  command.AddOption("--image", run.request.image, "for podman and docker").NotEmpty();
  command.AddOption("--plan", run.hash, "refuse unless the plan has this hash (cordon plan)");
  if (profile == Profile::kOption) {
    command.AddOption("--profile", run.request.profile, "of the policy").NotEmpty();
  }
  command.AddOption("--workspace", run.request.workspace, "the directory that it works in")
      .NotEmpty();
}

void AddPolicyOptions(Command& command, policy::PlanRequest& request) {
  command.AddOption("--config", request.config, "the project's policy (found upwards from here)")
      .NotEmpty();
  command
      .AddOption("--policy", request.policy,
                 "your own policy, for this once (~/.config/cordon/policy.yaml)")
      .NotEmpty();
  command
      .AddOption("--mode", request.mode,
                 "host: without a wall; sandbox: with one, whatever the profile says")
      .OneOf({"host", "sandbox"});
  command.AddFlag("--strict-security", request.strict,
                  "refuse mutable images, secrets, missing lockfiles");
}

bool WantsPlan(const PlannedRun& run, Input input) {
  if (run.request.wall == "wasm" && !run.hash) return false;
  if (run.request.shadow || run.dry_run || !run.request.wall.empty() || run.hash ||
      !run.request.profile.empty() || !run.request.config.empty() || run.request.strict ||
      !run.request.policy.empty() || !run.request.mode.empty() || !run.request.workspace.empty() ||
      !run.request.image.empty())
    return true;
  if (input == Input::kScript || run.request.argv.empty()) return false;
  return !policy::FindProjectFile(policy::Surroundings::OfThisProcess().directory).empty();
}

int RunPlanned(PlannedRun& run) {
  if (run.json) return RunAsJson([&run](RunOutcome* outcome) { return RunPlanned(run, outcome); });
  RunOutcome outcome;
  return RunPlanned(run, &outcome);
}

int RunPlanned(PlannedRun& run, RunOutcome* outcome) {
  if (!run.foreign_option.empty()) {
    return Refuse(outcome, ErrorCode::kInvalid,
                  "only for the wasm wall; here the policy decides (--wall wasm)",
                  run.foreign_option);
  }
  if (const Status parsed = ParseVariables(run.environment, &run.request); !parsed) {
    return RefuseAll({parsed.error()}, outcome);
  }
  if (run.hash && !IsPlanHash(*run.hash)) {
    return Refuse(outcome, ErrorCode::kInvalid,
                  "is not the whole hash of a plan, as cordon plan prints it", "--plan");
  }
  const policy::Surroundings around = policy::Surroundings::OfThisProcess();
  const policy::Planned planned = policy::MakePlan(run.request, around);
  if (!planned.plan) return RefuseAll(planned.errors, outcome);
  const policy::Plan& plan = *planned.plan;
  if (run.dry_run) {
    Print(policy::PlanText(plan, {}), Paint::kSections);
    return plan.refusals.empty() ? 0 : RefuseAll(plan.refusals, outcome);
  }
  if (run.hash && plan.refusals.empty() && policy::PlanHash(plan) != *run.hash) {
    return Refuse(outcome, ErrorCode::kInvalid,
                  "the plan has become another, " + policy::PlanHash(plan), "--plan");
  }
  return ExecutePlan(plan, around, run, outcome);
}

Status ParseVariables(const std::vector<std::string>& words, policy::PlanRequest* request) {
  for (const std::string& variable : words) {
    Result<std::pair<std::string, std::string>> parsed = ParseVariable(variable);
    if (!parsed) return std::unexpected(parsed.error());
    request->environment.push_back(std::move(*parsed));
  }
  return {};
}

}  // namespace cordon::cli
