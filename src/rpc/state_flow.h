#ifndef CORDON_RPC_STATE_FLOW_H_
#define CORDON_RPC_STATE_FLOW_H_

// Conversations with a sandbox about its state, of which several methods and the autosave are made.
// Each calls one of its two callbacks once.

#include <functional>
#include <memory>
#include <string>

#include "rpc/call.h"

namespace cordon::rpc {

using Refuse = std::function<void(const RpcError&)>;
[[nodiscard]] Refuse RefusalOf(const CallPtr& call);

// The keeper's answer, if that is no error.
void AskKeeper(const std::shared_ptr<Sandbox>& sandbox, live::Frame frame,
               std::function<void(const live::Frame&)> then, Refuse refuse);

// While it lives, the session of a sandbox runs no command of anybody else's, and the sandbox is
// neither copied nor restored: what the shell knows and the files are of one moment. It comes after
// the commands that wait already, and not any more if the call is cancelled or its client goes.
using Turn = std::shared_ptr<void>;
void TakeTurn(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox,
              std::function<void(const Turn&)> then, Refuse refuse);
// The same of nobody's call, who does not wait for a command: `busy` hears that one runs.
void TakeTurnBetweenCommands(const std::shared_ptr<Sandbox>& sandbox,
                             std::function<void(const Turn&)> then, std::function<void()> busy,
                             Refuse refuse);

// What the session knows, as the payload of kExportImage. The files are to be taken in this turn.
using StateTaker = std::function<void(const std::string& config, const Turn& turn)>;
void CaptureState(const std::shared_ptr<Sandbox>& sandbox, const Turn& turn, StateTaker then,
                  const Refuse& refuse);
// In a turn of its own.
void CaptureInTurn(const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox, StateTaker then,
                   const Refuse& refuse);

// Tells the session what another one knew: `report` is what kImportImage or kLoadState answered,
// in this turn, and is what the client hears when the callback gets it. `replaces`: the shell
// begins anew before.
void RestoreState(const std::shared_ptr<Sandbox>& sandbox, const Turn& turn, Json report,
                  bool replaces, const std::function<void(const Json&)>& then,
                  const Refuse& refuse);

[[nodiscard]] Json ParseReport(const std::string& payload);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_STATE_FLOW_H_
