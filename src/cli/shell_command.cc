#include "cli/shell_command.h"

#include <algorithm>
#include <memory>
#include <string>

#include "cli/command_line.h"
#include "cli/exec_in_sandbox.h"
#include "cli/run_plan.h"
#include "policy/surroundings.h"

namespace cordon::cli {
namespace {

constexpr const char* kShell = "/bin/sh";

// The profile's shell, if it names one: what a plan says that the command is told.
std::string ShellOf(const PlannedRun& run) {
  PlannedRun asked = run;
  asked.request.argv = {kShell};
  const policy::Planned planned =
      policy::MakePlan(asked.request, policy::Surroundings::OfThisProcess());
  if (!planned.plan) return kShell;
  const auto& variables = planned.plan->environment;
  const auto shell = std::ranges::find(variables, "SHELL", &policy::Variable::name);
  return shell == variables.end() ? kShell : shell->value;
}

// What only a plan can say. In a sandbox it would be without effect.
constexpr const char* kOfPlans[] = {
    "--wall",   "--config",  "--policy", "--mode", "--strict-security",
    "--shadow", "--dry-run", "--image",  "--plan", "--workspace"};

int Exec(PlannedRun& run, SandboxExec& there) {
  if (!there.sandbox) return RunPlanned(run);
  // There is no profile then: what stands in its place is the program.
  there.argv = run.request.argv;
  there.argv.insert(there.argv.begin(), run.request.profile);
  there.environment = run.environment;
  there.json = run.json;
  there.report = run.report;
  return ExecInSandbox(there);
}

}  // namespace

void AddProjectShellCommand(Command& app, std::function<int()>* chosen) {
  auto run = std::make_shared<PlannedRun>();
  auto shell = std::make_shared<std::string>();
  Command command = app.AddCommand(
      "shell", "an interactive shell with the host's programs, behind the wall of the policy");
  AddPlanOptions(command, *run);
  command.AddOption("--shell", *shell, "instead of the profile's");
  command.AddOption("-e,--env", run->environment, "NAME=VALUE for the command");
  command.AddFlag("-v,--verbose", run->verbose, "say what stands around the command");
  command.Footer("cordon shell\ncordon shell --wall native --shadow");
  command.OnCall([run, shell, chosen] {
    *chosen = [run, shell] {
      run->request.argv = {shell->empty() ? ShellOf(*run) : *shell};
      return RunPlanned(*run);
    };
  });
}

void AddExecCommand(Command& app, std::function<int()>* chosen) {
  auto run = std::make_shared<PlannedRun>();
  auto there = std::make_shared<SandboxExec>();
  Command command = app.AddCommand(
      "exec",
      "run a command with this profile of the policy, whatever the rules, or in a sandbox of a "
      "daemon");
  command.AddOption("profile", run->request.profile, "the profile").NotEmpty();
  Option sandbox = command.AddOption("--sandbox", there->sandbox, "instead of a profile: its id");
  command.AddOption("--socket", there->socket, "with --sandbox: of `cordon serve --unix`")
      .From("CORDON_SOCKET");
  command.AddOption("--cwd", there->directory, "with --sandbox: where it begins").Needs(sandbox);
  command.AddOption("--timeout", there->timeout, "with --sandbox: wall time, as 10s, 500ms, 2m")
      .Needs(sandbox);
  AddPlanOptions(command, *run, Profile::kNamedOtherwise);
  for (const char* option : kOfPlans) command.Exclude(option, sandbox);
  command.AddOption("-e,--env", run->environment, "NAME=VALUE for the command");
  command.AddOption("--report", run->report, "file for a report in JSON");
  command.AddFlag("-v,--verbose", run->verbose, "say what stands around the command");
  command.AddOption("command", run->request.argv, "program and arguments, after --");
  command.Footer(
      "cordon exec default -- make check\n"
      "cordon exec --socket ./cordon.sock --sandbox $id -- python3 -q");
  command.OnCall([run, there, chosen] {
    if (run->request.profile.empty()) Command::FailMissing(there->sandbox ? "command" : "profile");
    *chosen = [run, there] { return Exec(*run, *there); };
  });
}

}  // namespace cordon::cli
