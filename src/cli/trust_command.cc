#include "cli/trust_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "backend/wasm/run.h"
#include "base/plain_text.h"
#include "cli/answer.h"
#include "cli/command_line.h"
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
  AnswerOptions answer;
};

// One approval for people, and for programs.
void Show(Answer& answer, const policy::Approval& approval, const std::string& head) {
  answer.Print(head + "\n");
  for (const std::string& what : approval.what) answer.Print("  " + PlainText(what) + "\n");
  answer.Add("approvals", {{"path", approval.path},
                           {"subject", approval.subject},
                           {"sha256", approval.sha256},
                           {"what", approval.what}});
}

int List(const policy::TrustStore& store, Answer& answer) {
  answer.Set("state", "listed");
  for (const policy::Approval& approval : store.approvals()) {
    Show(answer, approval,
         PlainText(approval.path) + ": " + approval.subject + ", sha256 " + approval.sha256);
  }
  return 0;
}

void AddNeeded(const policy::Planned& planned, std::vector<policy::Approval>* needed) {
  for (const policy::Approval& approval : planned.needed) {
    const bool is_new = std::ranges::none_of(*needed, [&](const policy::Approval& other) {
      return other.path == approval.path && other.subject == approval.subject;
    });
    if (approval.subject != "policy" && is_new) needed->push_back(approval);
  }
}

// What the project's policy asks for, and what is needed for this command: its package manager's
// files, scripts. Without a command, for any, by whatever profile of the project.
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
  AddNeeded(planned, &needed);
  if (!options.command.empty() || !planned.project) return needed;
  for (const auto& profile : planned.project->document.profiles.items) {
    request.profile = profile.name.value;
    AddNeeded(policy::MakePlan(request, around), &needed);
  }
  return needed;
}

// With --json standard output is no place for a question.
bool IsConfirmed(const Options& options, Answer& answer) {
  if (options.yes) return true;
  if (isatty(STDIN_FILENO) == 0 || answer.is_json()) {
    answer.Complain(
        Fail(ErrorCode::kInvalid, "nobody to ask; --yes approves what is shown").error());
    return false;
  }
  (void)printf("Approve? [y/N] ");
  (void)fflush(stdout);
  char reply[8] = {};
  return fgets(reply, sizeof reply, stdin) != nullptr && (reply[0] == 'y' || reply[0] == 'Y');
}

int Approve(const Options& options, policy::TrustStore store, const policy::Surroundings& around,
            Answer& answer) {
  Result<std::vector<policy::Approval>> needed = FindNeeded(options, around);
  if (!needed) return answer.Refuse(needed.error());
  if (needed->empty()) {
    answer.Set("state", "nothing needed");
    answer.Say("nothing needs your approval");
    return 0;
  }
  answer.Set("state", "needed");
  for (const policy::Approval& approval : *needed) {
    Show(answer, approval, PlainText(approval.path) + " asks for");
    answer.Explain(PlainText(approval.path) + " has the sha256 " + approval.sha256);
  }
  if (!IsConfirmed(options, answer)) return backend::kOwnFailure;
  // What was shown is what is approved: the hashes are of what was read for it.
  for (policy::Approval& approval : *needed) store.Approve(std::move(approval));
  if (const Status saved = store.Save(); !saved) return answer.Refuse(saved.error());
  answer.Set("state", "approved");
  answer.Say("approved; a change of the file withdraws it");
  return 0;
}

int Revoke(const Options& options, policy::TrustStore store, const policy::Surroundings& around,
           Answer& answer) {
  const std::string real = policy::RealPath(options.revoke);
  if (!store.Revoke(real.empty() ? policy::AbsolutePath(around.directory, options.revoke) : real)) {
    return answer.Refuse(Fail(ErrorCode::kInvalid, "was not approved", options.revoke).error());
  }
  if (const Status saved = store.Save(); !saved) return answer.Refuse(saved.error());
  answer.Set("state", "revoked");
  return 0;
}

int Trust(const Options& options, Answer& answer) {
  answer.Set("approvals", nlohmann::ordered_json::array());
  const policy::Surroundings around = policy::Surroundings::OfThisProcess();
  Result<policy::TrustStore> store = policy::TrustStore::Load(around);
  if (!store) return answer.Refuse(store.error());
  if (options.list) return List(*store, answer);
  if (!options.revoke.empty()) return Revoke(options, std::move(*store), around, answer);
  return Approve(options, std::move(*store), around, answer);
}

}  // namespace

void AddTrustCommand(Command& app, std::function<int()>* chosen) {
  auto options = std::make_shared<Options>();
  Command trust =
      app.AddCommand("trust", "approve what a project's files ask for beyond your policy");
  trust.AddOption("--config", options->file, "the project's policy (found upwards from here)")
      .NotEmpty();
  trust.AddFlag("--list", options->list, "what you approved");
  trust.AddOption("--revoke", options->revoke, "forget the approval of this file");
  trust.AddFlag("--yes", options->yes, "approve what is shown without being asked");
  trust.AddOption("command", options->command,
                  "a command, after --: its package manager's files too");
  AddAnswerOptions(trust, &options->answer);
  trust.Footer(
      "cordon trust\ncordon trust -- npm install\ncordon trust --yes --json\n"
      "cordon trust --revoke ./cordon.yaml");
  trust.OnCall([options, chosen] {
    *chosen = [options] {
      return GiveAnswer("trust", options->answer,
                        [&](Answer& answer) { return Trust(*options, answer); });
    };
  });
}

}  // namespace cordon::cli
