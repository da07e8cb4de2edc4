#ifndef CORDON_RPC_PACKAGE_COMMAND_H_
#define CORDON_RPC_PACKAGE_COMMAND_H_

// `pkg` inside a sandbox: its words come through a channel (live/guest_channels.h), and what is to
// be printed goes back. Whatever a guest says there, it gets no more than the policy allows.

#include <memory>

#include "live/frame.h"
#include "rpc/server.h"

namespace cordon::rpc {

// A kGuestRequest. The answer are lines: "out TEXT", "err TEXT", and last "exit N".
void AnswerGuest(const std::shared_ptr<Sandbox>& sandbox, const live::Frame& request);
// A kGuestGone: what it asked for is given up.
void LeaveGuest(Sandbox& sandbox, const live::Frame& gone);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_PACKAGE_COMMAND_H_
