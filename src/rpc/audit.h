#ifndef CORDON_RPC_AUDIT_H_
#define CORDON_RPC_AUDIT_H_

// What happened to a sandbox, told to the client that made it where `create` asked for that: the
// notification `audit {type, sessionId, timestamp, …}`. Called where something is decided or heard
// of from whoever decided it; never made of what a command printed.

#include <cstdint>
#include <string>

#include "live/frame.h"
#include "rpc/message.h"

namespace cordon::rpc {

struct Sandbox;

// `details` are more members of the event. A client that does not take its messages loses events
// and nothing else: the next that it gets says in `missed` how many those were.
void Audit(Sandbox& sandbox, const char* type, Json details = Json::object());

// The same for what the sandbox's keeper tells, a frame of Kind::kPolicy.
void AuditPolicy(Sandbox& sandbox, const live::Frame& frame);

// What an event says of a command: text of a bounded size.
[[nodiscard]] std::string AuditText(const std::string& command);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_AUDIT_H_
