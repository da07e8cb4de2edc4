#ifndef CORDON_RPC_SECURITY_H_
#define CORDON_RPC_SECURITY_H_

// What `create` says about limits and rights: at the top, in `limits` or in `security`.

#include "live/live_sandbox.h"
#include "rpc/call.h"

namespace cordon::rpc {

// False: the call was refused. What is not known is refused: a limit that nobody holds is none.
[[nodiscard]] bool ReadSecurity(const CallPtr& call, live::LiveOptions* options, Sandbox* sandbox);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_SECURITY_H_
