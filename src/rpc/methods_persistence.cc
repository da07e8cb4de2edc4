// Methods about saved states. The folder is the keeper's; nothing of it passes here.

#include <cerrno>
#include <chrono>
#include <string>

#include "archive/image_folders.h"
#include "rpc/autosave.h"
#include "rpc/call.h"
#include "rpc/namespace.h"
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

// The sandbox that has the folder, if this client may use it.
std::shared_ptr<Sandbox> HolderOf(const CallPtr& call, const std::string& folder) {
  for (const auto& [id, sandbox] : call->client->server.sandboxes()) {
    if (sandbox->options.state_folder != folder) continue;
    if (sandbox->detached || sandbox->owner.lock() == call->client) return sandbox;
  }
  return nullptr;
}

const std::string* StateFolder(const CallPtr& call) {
  const std::string& folder = call->client->server.options().state_folder;
  if (!folder.empty()) return &folder;
  call->Refuse(
      {kInvalidParams, "This daemon has no folder for states: start it with --state-dir", {}});
  return nullptr;
}

}  // namespace

void PersistenceList(const CallPtr& call) {
  const std::string* folder = StateFolder(call);
  if (folder == nullptr) return;
  const auto images = archive::ListImageFolders(*folder);
  if (!images) return call->Refuse({kSandboxError, images.error().ToString(), {}});
  Json list = Json::array();
  for (const archive::SavedImage& image : *images) {
    if (!IsNamespace(image.name)) continue;
    const auto saved =
        std::chrono::duration_cast<std::chrono::milliseconds>(image.saved.time_since_epoch());
    Json one = {{"namespace", image.name},
                {"sizeBytes", image.bytes},
                {"savedMs", saved.count()},
                {"inUse", image.is_open}};
    if (const auto holder = HolderOf(call, *folder + "/" + image.name)) {
      one["sandboxId"] = holder->id;
      one["inUse"] = true;
    }
    list.push_back(std::move(one));
  }
  call->Reply({{"namespaces", list}});
}

void PersistenceDelete(const CallPtr& call) {
  const std::optional<std::string> name = call->Text("namespace");
  if (!name) return;
  if (!IsNamespace(*name)) return call->Refuse({kInvalidParams, kNoNamespace, {}});
  const std::string* folder = StateFolder(call);
  if (folder == nullptr) return;
  const Status removed = archive::RemoveImageFolder(*folder, *name);
  if (removed) return call->Reply(Json::object());
  if (removed.error().system_errno == ENOENT)
    return call->RefuseErrno(ENOENT, "nothing is saved under the name " + *name);
  call->Refuse({kSandboxError, removed.error().ToString(), {}});
}

void PersistenceSave(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = TheSavedSandbox(call);
  if (!sandbox) return;
  SaveState(
      sandbox, [call](bool changed) { call->Reply({{"changed", changed}}); }, RefusalOf(call));
}

void PersistenceLoad(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = TheSavedSandbox(call);
  if (!sandbox) return;
  const auto load = [call, sandbox](const Turn& turn) {
    AskKeeper(
        sandbox, {live::Kind::kLoadState, 0, {}, {}},
        [call, sandbox, turn](const live::Frame& answer) {
          if (answer.arg[0] == 0) return call->Reply({{"loaded", false}});
          RestoreState(
              sandbox, turn, ParseReport(answer.payload), /*replaces=*/true,
              [call, sandbox, turn](const Json& restored) {
                TakeOverPackages(sandbox, restored, [call, turn](const Json& report) {
                  Json told = report;
                  told["loaded"] = true;
                  call->Reply(told);
                });
              },
              RefusalOf(call));
        },
        RefusalOf(call));
  };
  TakeTurn(call, sandbox, load, RefusalOf(call));
}

void PersistenceClear(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = TheSavedSandbox(call);
  if (!sandbox) return;
  AskKeeper(
      sandbox, {live::Kind::kClearState, 0, {}, {}},
      [call](const live::Frame&) { call->Reply(Json::object()); }, RefusalOf(call));
}

}  // namespace cordon::rpc
