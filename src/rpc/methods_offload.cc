// Methods by which a sandbox stands still, or gives its state to its client and has no processes
// meanwhile.

#include <string>
#include <utility>

#include "rpc/call.h"
#include "rpc/extensions.h"
#include "rpc/start_flow.h"
#include "rpc/state_flow.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;

void EndProcesses(Sandbox& sandbox) {
  // First, because whoever hears of the end takes it for that of the sandbox.
  sandbox.presence = Presence::kAway;
  sandbox.link->Close();
}

// Their commands are among the files that come back.
void ServeExtensionsAgain(Sandbox& sandbox) {
  if (!sandbox.extensions) return;
  sandbox.extensions =
      std::make_shared<Extensions>(sandbox.id, sandbox.link, sandbox.extensions->known());
}

void AskToStand(const CallPtr& call, Kind kind) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  AskKeeper(
      sandbox, {kind, 0, {}, {}}, [call](const Frame&) { call->Reply(Json::object()); },
      RefusalOf(call));
}

}  // namespace

void Suspend(const CallPtr& call) {
  AskToStand(call, Kind::kSuspend);
}

void Resume(const CallPtr& call) {
  AskToStand(call, Kind::kResume);
}

void Offload(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandbox();
  if (!sandbox) return;
  if (!sandbox->running.empty()) {
    return call->Refuse({kSandboxError, "Cannot offload while a command is running", {}});
  }
  if (sandbox->autosave) {
    return call->Refuse(
        {kSandboxError, "A persistent sandbox is saved in its namespace: destroy it instead", {}});
  }
  sandbox->presence = Presence::kLeaving;
  sandbox->leaves_for = call->client;
  const auto refuse = [call, sandbox](const RpcError& error) {
    if (sandbox->presence == Presence::kLeaving) sandbox->presence = Presence::kHere;
    call->Refuse(error);
  };
  const auto export_it = [call, sandbox, refuse](const std::string& config, const Turn& turn) {
    AskKeeper(
        sandbox, {Kind::kExportImage, 0, {}, config},
        [call, sandbox, turn](const Frame& answer) {
          Json report = ParseReport(answer.payload);
          report["blobId"] = answer.arg[0];
          call->client->Keep(sandbox->link, answer.arg[0]);
          call->Reply(report);
        },
        refuse);
  };
  CaptureInTurn(call, sandbox, export_it, refuse);
}

void OffloadEnd(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandboxInAnyState();
  if (!sandbox) return;
  if (sandbox->presence != Presence::kLeaving) {
    return call->Refuse({kSandboxError, "Sandbox is not being offloaded", {}});
  }
  const auto is_kept = call->Flag("kept");
  if (!is_kept) return;
  if (*is_kept) {
    EndProcesses(*sandbox);
  } else {
    sandbox->presence = Presence::kHere;
  }
  call->Reply(Json::object());
}

void Rehydrate(const CallPtr& call) {
  const std::shared_ptr<Sandbox> sandbox = call->TheSandboxInAnyState();
  if (!sandbox) return;
  if (sandbox->presence == Presence::kReturning) EndProcesses(*sandbox);
  if (sandbox->presence != Presence::kAway) {
    return call->Refuse({kSandboxError, "Sandbox is not offloaded", {}});
  }
  if (!call->HasMemory()) return;
  auto started =
      SandboxLink::Start(call->client->server.loop(), sandbox->options,
                         HearSandbox(call, sandbox, [call](const std::shared_ptr<Sandbox>& it) {
                           ServeExtensionsAgain(*it);
                           call->Reply(Json::object());
                         }));
  if (!started) return call->Refuse({kSandboxError, started.error().ToString(), {}});
  sandbox->link = std::move(*started);
  call->client->server.quota().Count(sandbox->link);
  sandbox->presence = Presence::kReturning;
}

}  // namespace cordon::rpc
