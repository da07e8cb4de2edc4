#include "cli/trust_command.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "backend/wasm/run.h"
#include "base/plain_text.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "policy/host_files.h"
#include "policy/resolve.h"
#include "policy/trust.h"

namespace cordon::cli {
namespace {

struct Options {
  std::string file;
  std::vector<std::string> command;
  std::string revoke;
  bool list = false;
  bool yes = false;
};

int List(const policy::TrustStore& store) {
  for (const policy::Approval& approval : store.approvals()) {
    (void)printf("%s: %s, sha256 %s\n", PlainText(approval.path).c_str(), approval.subject.c_str(),
                 approval.sha256.c_str());
    for (const std::string& what : approval.what) (void)printf("  %s\n", PlainText(what).c_str());
  }
  return 0;
}

// What the project's policy asks for, and what the package manager's files do for this command.
Result<std::vector<policy::Approval>> FindNeeded(const Options& options,
                                                 const policy::Surroundings& around) {
  policy::PlanRequest request;
  request.config = options.file;
  request.argv = options.command.empty() ? std::vector<std::string>{"true"} : options.command;
  const policy::Planned planned = policy::MakePlan(request, around);
  if (!planned.errors.empty()) return std::unexpected(planned.errors.front());
  std::vector<policy::Approval> needed;
  if (planned.project && !planned.project->approved) {
    policy::Approval approval = {planned.project->path, "policy", planned.project->sha256, {}};
    for (const policy::Layer::Asks& asks : {planned.project->asks, planned.project->host_asks}) {
      for (const auto& [place, ask] : asks) {
        approval.what.push_back("line " + std::to_string(place.first) + ": " + ask.what);
      }
    }
    if (!approval.what.empty()) needed.push_back(std::move(approval));
  }
  for (const policy::Approval& approval : planned.needed) {
    if (approval.subject == "hosts") needed.push_back(approval);
  }
  return needed;
}

bool IsConfirmed(const Options& options) {
  if (options.yes) return true;
  if (isatty(STDIN_FILENO) == 0) {
    Complain("nobody to ask; --yes approves what is shown");
    return false;
  }
  (void)printf("Approve? [y/N] ");
  (void)fflush(stdout);
  char answer[8] = {};
  return fgets(answer, sizeof answer, stdin) != nullptr && (answer[0] == 'y' || answer[0] == 'Y');
}

int Approve(const Options& options, policy::TrustStore store, const policy::Surroundings& around) {
  Result<std::vector<policy::Approval>> needed = FindNeeded(options, around);
  if (!needed) return Refuse(needed.error());
  if (needed->empty()) {
    (void)puts("nothing needs your approval");
    return 0;
  }
  for (const policy::Approval& approval : *needed) {
    (void)printf("%s asks for\n", PlainText(approval.path).c_str());
    for (const std::string& what : approval.what) (void)printf("  %s\n", PlainText(what).c_str());
  }
  if (!IsConfirmed(options)) return backend::kOwnFailure;
  // What was shown is what is approved: the hashes are of what was read for it.
  for (policy::Approval& approval : *needed) store.Approve(std::move(approval));
  if (const Status saved = store.Save(); !saved) return Refuse(saved.error());
  (void)puts("approved; a change of the file withdraws it");
  return 0;
}

int Trust(const Options& options) {
  const policy::Surroundings around = policy::Surroundings::OfThisProcess();
  Result<policy::TrustStore> store = policy::TrustStore::Load(around);
  if (!store) return Refuse(store.error());
  if (options.list) return List(*store);
  if (options.revoke.empty()) return Approve(options, std::move(*store), around);
  const std::string real = policy::RealPath(options.revoke);
  if (!store->Revoke(real.empty() ? policy::AbsolutePath(around.directory, options.revoke)
                                  : real)) {
    return Refuse(Fail(ErrorCode::kInvalid, "was not approved", options.revoke).error());
  }
  const Status saved = store->Save();
  return saved ? 0 : Refuse(saved.error());
}

}  // namespace

void AddTrustCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command trust =
      app.AddCommand("trust", "approve what a project's files ask for beyond your policy");
  trust.AddOption("--config", options->file, "the project's policy (found upwards from here)");
  trust.AddFlag("--list", options->list, "what you approved");
  trust.AddOption("--revoke", options->revoke, "forget the approval of this file");
  trust.AddFlag("--yes", options->yes, "approve what is shown without being asked");
  trust.AddOption("command", options->command,
                  "a command, after --: its package manager's files too");
  trust.Footer("cordon trust\ncordon trust -- npm install");
  trust.OnCall([options, chosen] { *chosen = [options] { return Trust(*options); }; });
}

}  // namespace cordon::cli
