#ifndef CORDON_RPC_SESSION_STATE_H_
#define CORDON_RPC_SESSION_STATE_H_

// What a session's shell knows, as text: it is asked by a script and told by another. The text is
// the guest's own; it is never run anywhere but in a sandbox.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/message.h"

namespace cordon::rpc {

struct SessionState {
  std::string directory;
  std::vector<std::string> environment;  // exported, "NAME=value"
  Json session;  // directory, variables, functions, aliases, umask, traps, options
};

// A script for the session's shell; it changes nothing there.
[[nodiscard]] std::string CaptureScript();
// What it printed. Nothing: the shell did not answer as it should.
[[nodiscard]] std::optional<SessionState> ReadCapture(std::string_view output);

// A script that gives a shell what another knew. Members that are not there, or are no text, are
// left out. What the shell refuses is a line of its standard error.
[[nodiscard]] std::string RestoreScript(const Json& session);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_SESSION_STATE_H_
