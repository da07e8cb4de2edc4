#include "cli/install_command.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "backend/end.h"
#include "backend/host/program.h"
#include "backend/wasm/run.h"
#include "base/plain_text.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/result.h"
#include "cli/run_plan.h"
#include "policy/dispatch.h"
#include "policy/host_files.h"
#include "policy/install.h"
#include "policy/install_sources.h"
#include "policy/trust.h"

namespace cordon::cli {
namespace {

constexpr size_t kMaxLockfile = 64 << 20;

struct Options {
  PlannedRun run;
  InstallResult result;
  std::string manager;
  std::vector<std::string> more;  // words for the manager
  bool without_scripts = false;
  bool needs_lockfile = false;
};

enum class Network { kOfThePlan, kNone };

int Refuse(Options& options, const Error& error) {
  Complain(error);
  options.result.refusals.push_back(error);
  return backend::kOwnFailure;
}

void Say(const Options& options, const std::string& text) {
  if (!options.run.quiet) Complain(text);
}

std::string FolderOf(const Options& options, const policy::Surroundings& around) {
  return policy::AbsolutePath(around.directory, options.run.request.workspace);
}

// Every lockfile with the SHA-256 of its bytes.
struct Seal {
  std::string name;
  std::string sha256;
  friend bool operator==(const Seal&, const Seal&) = default;
};
Result<std::vector<Seal>> SealLockfiles(const std::string& folder,
                                        const policy::InstallSteps& steps) {
  const Result<policy::Beneath> beneath = policy::Beneath::Open(folder);
  if (!beneath) return std::unexpected(beneath.error());
  std::vector<Seal> seals;
  for (const std::string& name : policy::SplitList(steps.manager->lockfiles)) {
    const policy::Found found = beneath->Inspect({name});
    if (found == policy::Found::kMissing) continue;
    if (found != policy::Found::kFile) {
      return Fail(ErrorCode::kInvalid, "is not a plain file", name);
    }
    const Result<std::string> text = beneath->Read({name}, kMaxLockfile);
    if (!text) return std::unexpected(text.error());
    seals.push_back({name, policy::HashText(*text)});
  }
  return seals;
}

// The profile that decides about the first command.
std::string ProfileOf(const PlannedRun& run, const policy::Surroundings& around,
                      const policy::InstallSteps& steps) {
  policy::PlanRequest request = run.request;
  request.argv = steps.download.front();
  const policy::Planned planned = policy::MakePlan(request, around);
  return planned.plan ? planned.plan->decision.profile : std::string();
}

// One of several: its result is a part of the whole.
int RunKeeping(Options& options, PlannedRun& run) {
  RunOutcome outcome;
  const int exit_code = RunPlanned(run, &outcome);
  if (run.json) {
    const bool is_told = !outcome.result.empty() && outcome.refusals.empty();
    options.result.commands.push_back(is_told ? outcome.result
                                              : ResultText(outcome.refusals, exit_code));
  }
  return exit_code;
}

// One command of a phase. What runs without a network has the install's profile all the same:
// it writes where that does.
int RunCommand(Options& options, const policy::Surroundings& around,
               const policy::InstallSteps& steps, const std::vector<std::string>& command,
               Network network) {
  PlannedRun run = options.run;
  run.request.argv = command;
  run.request.manager = steps.manager->name;
  run.request.without_network = network == Network::kNone;
  if (run.request.wall.empty()) run.request.wall = "native";
  if (network == Network::kNone && run.request.profile.empty()) {
    run.request.profile = ProfileOf(run, around, steps);
  }
  for (const auto& variable : steps.variables) run.request.environment.push_back(variable);
  Say(options, PlainText(policy::JoinCommand(command)) +
                   (network == Network::kNone ? " (without network)" : ""));
  return RunKeeping(options, run);
}

int RunPhase(Options& options, const policy::Surroundings& around,
             const policy::InstallSteps& steps,
             const std::vector<std::vector<std::string>>& commands, Network network) {
  for (const std::vector<std::string>& command : commands) {
    if (const int code = RunCommand(options, around, steps, command, network); code != 0) {
      return code;
    }
  }
  return 0;
}

// What is done before anything is brought here.
int Prepare(Options& options, const policy::Surroundings& around,
            const policy::InstallSteps& steps) {
  for (const policy::Preparation& before : steps.before) {
    const int code = RunCommand(options, around, steps, before.argv, Network::kNone);
    if (code == 0) continue;
    if (!options.run.dry_run && code != backend::kOwnFailure) {
      Complain(Fail(ErrorCode::kUnsupported, before.if_it_fails).error());
    }
    return code;
  }
  return 0;
}

// What the manager would build although it is told not to.
int CheckSources(Options& options, const std::string& folder, const policy::InstallSteps& steps) {
  const Result<policy::Beneath> project = policy::Beneath::Open(folder);
  if (!project) return Refuse(options, project.error());
  int code = 0;
  for (const Error& error : policy::FindBuiltSources(steps, *project))
    code = Refuse(options, error);
  return code;
}

// What decided the versions is what was there before.
int CheckSeals(Options& options, const std::string& folder, const policy::InstallSteps& steps,
               const std::vector<Seal>& before) {
  const Result<std::vector<Seal>> after = SealLockfiles(folder, steps);
  if (!after) return Refuse(options, after.error());
  for (const Seal& seal : before) {
    if (std::ranges::find(*after, seal) != after->end()) continue;
    options.result.lockfiles.push_back({seal.name, seal.sha256, "changed"});
    return Refuse(options,
                  Fail(ErrorCode::kInvalid,
                       "was changed by the install; what is installed is not trusted", seal.name)
                      .error());
  }
  for (const Seal& seal : *after) {
    const bool is_new = std::ranges::find(before, seal) == before.end();
    const std::string state = is_new ? "new" : "unchanged";
    options.result.lockfiles.push_back({seal.name, seal.sha256, state});
    Say(options, seal.name + " sha256 " + seal.sha256 + ", " + state);
  }
  return 0;
}

int Install(Options& options) {
  const policy::Surroundings around = policy::Surroundings::OfThisProcess();
  const std::string folder = FolderOf(options, around);
  const Result<policy::InstallSteps> steps =
      policy::FindInstallSteps(folder, options.manager, options.more);
  if (!steps) return Refuse(options, steps.error());
  if (const Status parsed = ParseVariables(options.run.environment, &options.run.request); !parsed)
    return Refuse(options, parsed.error());
  options.run.environment.clear();
  if (options.needs_lockfile && !steps->is_frozen) {
    return Refuse(
        options,
        Fail(ErrorCode::kInvalid,
             "no lockfile: " + std::string(steps->manager->lockfiles) + " is not there", folder)
            .error());
  }
  options.result.manager = steps->manager->name;
  const Result<std::vector<Seal>> before = SealLockfiles(folder, *steps);
  if (!before) return Refuse(options, before.error());
  if (!steps->is_frozen) {
    Say(options, "no lockfile: versions are decided by what the hosts answer");
  }
  if (const int code = CheckSources(options, folder, *steps); code != 0) return code;
  if (const int code = Prepare(options, around, *steps); code != 0) return code;
  if (const int code = RunPhase(options, around, *steps, steps->download, Network::kOfThePlan);
      code != 0) {
    return code;
  }
  if (options.run.dry_run) {
    return options.without_scripts
               ? 0
               : RunPhase(options, around, *steps, steps->scripts, Network::kNone);
  }
  if (const int code = CheckSeals(options, folder, *steps, *before); code != 0) return code;
  if (options.without_scripts) {
    Say(options, "no script of a package has run; cordon install runs them, without network");
    return 0;
  }
  const Result<std::vector<Seal>> between = SealLockfiles(folder, *steps);
  if (!between) return Refuse(options, between.error());
  if (const int code = RunPhase(options, around, *steps, steps->scripts, Network::kNone);
      code != 0) {
    return code;
  }
  const Result<std::vector<Seal>> after = SealLockfiles(folder, *steps);
  if (!after) return Refuse(options, after.error());
  if (*after == *between) return 0;
  return Refuse(
      options,
      Fail(ErrorCode::kInvalid, "a lockfile was changed by a package's script", folder).error());
}

int Audit(Options& options) {
  const policy::Surroundings around = policy::Surroundings::OfThisProcess();
  const Result<policy::InstallSteps> steps =
      policy::FindInstallSteps(FolderOf(options, around), options.manager);
  if (!steps) return Refuse(options, steps.error());
  if (steps->audit.empty()) {
    return Refuse(
        options,
        Fail(ErrorCode::kUnsupported, std::string(steps->manager->name) + " has no audit").error());
  }
  options.result.manager = steps->manager->name;
  PlannedRun& run = options.run;
  run.request.argv = steps->audit;
  run.request.argv.insert(run.request.argv.end(), options.more.begin(), options.more.end());
  if (run.request.wall.empty()) run.request.wall = "native";
  run.request.manager = steps->manager->name;
  if (run.request.profile.empty()) run.request.profile = ProfileOf(run, around, *steps);
  for (const auto& variable : steps->variables) run.request.environment.push_back(variable);
  if (backend::FindInPath(steps->audit.front()).empty()) {
    (void)Refuse(options, Fail(ErrorCode::kInvalid, steps->audit.front() + ": not found").error());
    return backend::kNoProgram;
  }
  return RunKeeping(options, run);
}

// What was done, and its result for programs.
int RunWith(Options& options, int (*work)(Options&)) {
  if (!options.run.json) return work(options);
  return PrintAsJson([&](int* exit_code) {
    *exit_code = options.result.exit_code = work(options);
    return ResultText(options.result);
  });
}

std::shared_ptr<Options> AddCommon(Command& command) {
  auto options = std::make_shared<Options>();
  AddPlanOptions(command, options->run);
  command.AddOption(
      "--manager", options->manager,
      "npm, yarn, pnpm, bun, pip, uv, poetry, cargo, go, composer or bundler; otherwise "
      "the one whose files are here");
  command.AddOption("-e,--env", options->run.environment, "NAME=VALUE for the commands");
  command.AddFlag("-v,--verbose", options->run.verbose, "say what stands around the commands");
  return options;
}

}  // namespace

void AddInstallCommand(Command& app, std::function<int()>* chosen) {
  Command install = app.AddCommand(
      "install", "install packages: brought here with scripts off, then scripts without network");
  const std::shared_ptr<Options> options = AddCommon(install);
  install.AddFlag("--no-scripts", options->without_scripts, "only the first phase");
  install.AddFlag("--require-lockfile", options->needs_lockfile, "refuse without a lockfile");
  install.AddOption("words", options->more, "further words for the manager, after --");
  install.Footer(
      "cordon install\ncordon install --manager pip\ncordon install -- left-pad@1.3.0\n"
      "cordon install --manager poetry -- --with docs");
  install.OnCall([options, chosen] { *chosen = [options] { return RunWith(*options, Install); }; });
}

void AddBootstrapCommand(Command& app, std::function<int()>* chosen) {
  Command bootstrap = app.AddCommand(
      "bootstrap", "bring packages here and make the lockfile; no script of a package runs");
  const std::shared_ptr<Options> options = AddCommon(bootstrap);
  options->without_scripts = true;
  bootstrap.Footer("cordon bootstrap && cordon install");
  bootstrap.OnCall(
      [options, chosen] { *chosen = [options] { return RunWith(*options, Install); }; });
}

void AddAuditCommand(Command& app, std::function<int()>* chosen) {
  Command audit = app.AddCommand(
      "audit", "the package manager's own audit, behind the wall, with the hosts of an install");
  const std::shared_ptr<Options> options = AddCommon(audit);
  audit.AddOption("words", options->more, "further words, after --");
  audit.Footer("cordon audit\ncordon audit -- --json");
  audit.OnCall([options, chosen] { *chosen = [options] { return RunWith(*options, Audit); }; });
}

}  // namespace cordon::cli
