// Methods about saved states. The folder is the keeper's; nothing of it passes here.

#include <string>

#include "rpc/autosave.h"
#include "rpc/call.h"
#include "rpc/packages.h"
#include "rpc/state_flow.h"

namespace cordon::rpc {
namespace {

std::shared_ptr<Sandbox> TheSavedSandbox(const CallPtr& call) {
  std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox || sandbox->can_be_saved) return sandbox;
  call->Refuse(
      {kSandboxError,
       "Persistence not configured. Set persistence.mode to \"session\" or \"persistent\".",
       {}});
  return nullptr;
}

}  // namespace

void PersistenceSave(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = TheSavedSandbox(call);
  if (!sandbox) return;
  SaveState(
      sandbox, [call](bool changed) { call->Reply({{"changed", changed}}); }, RefusalOf(call));
}

void PersistenceLoad(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = TheSavedSandbox(call);
  if (!sandbox) return;
  HoldSaves(sandbox, [call, sandbox](const AutoSave::Held& held) {
    AskKeeper(
        sandbox, {live::Kind::kLoadState, 0, {}, {}},
        [call, sandbox, held](const live::Frame& answer) {
          if (answer.arg[0] == 0) return call->Reply({{"loaded", false}});
          RestoreState(
              sandbox, ParseReport(answer.payload), /*replaces=*/true,
              [call, sandbox, held](const Json& restored) {
                TakeOverPackages(sandbox, restored, [call, held](const Json& report) {
                  Json told = report;
                  told["loaded"] = true;
                  call->Reply(told);
                });
              },
              RefusalOf(call));
        },
        RefusalOf(call));
  });
}

void PersistenceClear(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = TheSavedSandbox(call);
  if (!sandbox) return;
  AskKeeper(
      sandbox, {live::Kind::kClearState, 0, {}, {}},
      [call](const live::Frame&) { call->Reply(Json::object()); }, RefusalOf(call));
}

}  // namespace cordon::rpc
