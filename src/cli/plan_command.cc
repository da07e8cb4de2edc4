#include "cli/plan_command.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/host/facilities.h"
#include "backend/wasm/run.h"
#include "cli/answer.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/paint.h"
#include "cli/run_plan.h"
#include "policy/plan_audit.h"
#include "policy/plan_text.h"
#include "policy/resolve.h"
#include "policy/walls.h"

namespace cordon::cli {
namespace {

struct Options {
  policy::PlanRequest request;
  std::vector<std::string> environment;
  bool as_json = false;
  bool as_hash = false;
  bool shows_command = false;
  bool has_audit = false;
};

int RefuseAll(const std::vector<Error>& errors) {
  for (const Error& error : errors) Complain(error);
  return backend::kOwnFailure;
}

std::vector<policy::HostFacility> ProbeFor(policy::Wall wall) {
  std::vector<policy::HostFacility> facilities;
  for (const backend::Facility& facility : backend::ProbeHost(policy::NeededFacilities(wall))) {
    facilities.push_back({facility.name, facility.there, facility.detail});
  }
  return facilities;
}

void PrintJson(const policy::Plan& plan, const std::vector<std::string>& lacks, bool has_audit) {
  nlohmann::json json;
  json["plan"] = nlohmann::json::parse(policy::CanonicalJson(plan));
  json["hash"] = policy::PlanHash(plan);
  json["machine_lacks"] = lacks;
  if (has_audit) json["audit"] = policy::AuditPlan(plan);
  (void)puts(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

// What the program that puts up the wall is told.
int ShowCommand(const policy::Plan& plan, const backend::Backend* wall) {
  const Result<std::string> text =
      wall == nullptr ? Result<std::string>(std::string()) : wall->Describe(plan);
  if (!text) return RefuseAll({text.error()});
  if (text->empty()) {
    return RefuseAll(
        {Fail(ErrorCode::kInvalid,
              "the wall " + std::string(WallName(plan.wall)) + " is no other program's",
              "--show-command")
             .error()});
  }
  (void)fputs(text->c_str(), stdout);
  return plan.refusals.empty() ? 0 : RefuseAll(plan.refusals);
}

int Plan(Options& options, Answer& answer) {
  if (const Status parsed = ParseVariables(options.environment, &options.request); !parsed)
    return answer.Finish(answer.Refuse(parsed.error()));
  const policy::Planned planned =
      policy::MakePlan(options.request, policy::Surroundings::OfThisProcess());
  if (!planned.plan) {
    for (const Error& error : planned.errors) answer.Complain(error);
    return answer.Finish(backend::kOwnFailure);
  }
  const policy::Plan& plan = *planned.plan;
  if (options.as_hash) {
    (void)puts(policy::PlanHash(plan).c_str());
    return plan.refusals.empty() ? 0 : RefuseAll(plan.refusals);
  }
  std::vector<std::string> lacks = policy::FindAllLacks(plan.wall, ProbeFor(plan.wall));
  const backend::Backend* wall = backend::BackendOf(plan.wall);
  if (wall != nullptr && plan.refusals.empty()) {
    const Status fits = wall->Check(plan);
    if (!fits) lacks.push_back(fits.error().ToString());
  }
  if (options.shows_command) return ShowCommand(plan, wall);
  if (options.as_json) {
    PrintJson(plan, lacks, options.has_audit);
  } else {
    std::string text = policy::PlanText(plan, lacks);
    if (options.has_audit) text += policy::AuditText(policy::AuditPlan(plan));
    Print(text, Paint::kSections);
  }
  return plan.refusals.empty() ? 0 : RefuseAll(plan.refusals);
}

}  // namespace

void AddPlanCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command plan = app.AddCommand("plan", "what a command would get, and why; runs nothing");
  policy::PlanRequest& request = options->request;
  AddPolicyOptions(plan, request);
  plan.AddOption("--workspace", request.workspace, "the directory that the command works in")
      .NotEmpty();
  plan.AddOption("--profile", request.profile, "instead of the one that the rules choose")
      .NotEmpty();
  plan.AddOption("--wall,--backend", request.wall,
                 "wasm, native, podman, docker, microvm, bwrap, nsjail, sandbox-exec, none")
      .NotEmpty();
  plan.AddOption("--image", request.image, "for the container wall").NotEmpty();
  plan.AddOption("-e,--env", options->environment, "NAME=VALUE for the command");
  plan.AddFlag("--json", options->as_json, "for programs");
  plan.AddFlag("--show-command", options->shows_command,
               "what bwrap, podman, nsjail or sandbox-exec is told");
  plan.AddFlag("--audit", options->has_audit, "also what of it deserves a second look");
  plan.AddFlag("--hash", options->as_hash, "only the plan's hash");
  plan.AddOption("command", request.argv, "program and arguments, after --");
  plan.Footer(
      "cordon plan -- npm install\ncordon plan --audit -- npm install\ncordon plan --json --wall "
      "bwrap -- make test");
  plan.OnCall([options, chosen] {
    *chosen = [options] {
      Answer answer("plan", {.json = options->as_json});
      return Plan(*options, answer);
    };
  });
}

}  // namespace cordon::cli
