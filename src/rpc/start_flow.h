#ifndef CORDON_RPC_START_FLOW_H_
#define CORDON_RPC_START_FLOW_H_

// What a daemon hears of a sandbox from its start to its end, however it came to be: made, forked,
// or brought back.

#include <functional>
#include <memory>

#include "rpc/call.h"
#include "rpc/sandbox_link.h"

namespace cordon::rpc {

// For the sandbox's link. `when_ready` is called once, and answers the call; what the sandbox tells
// unasked is passed on; its end is the call's refusal, if that was not answered, and the sandbox is
// forgotten, unless its state is its client's.
[[nodiscard]] SandboxLink::Handler HearSandbox(
    const CallPtr& call, const std::shared_ptr<Sandbox>& sandbox,
    std::function<void(const std::shared_ptr<Sandbox>&)> when_ready);
// The same of one of several that a call asks for: `when_ended` hears why it ended, in any case.
[[nodiscard]] SandboxLink::Handler HearSandbox(
    Server& server, const std::shared_ptr<Sandbox>& sandbox,
    std::function<void(const std::shared_ptr<Sandbox>&)> when_ready,
    std::function<void(const std::string& reason)> when_ended);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_START_FLOW_H_
