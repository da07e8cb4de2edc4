#ifndef CORDON_LIVE_LIVE_SANDBOX_H_
#define CORDON_LIVE_LIVE_SANDBOX_H_

// A sandbox that lives: a session's shell, any number of runs in it one after the other and of
// processes beside it, and files, on the request of whoever holds the other end of a socket. It
// is a process of its own, so that what goes wrong in it ends one sandbox.

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/wasm/keeper.h"
#include "base/owned_fd.h"

namespace cordon::live {

struct LiveOptions {
  backend::SandboxOptions sandbox;
  std::string directory = "/home/user";
  std::vector<std::string> environment;
  std::string state_folder;  // of a sandbox that can be saved; empty: of none
  // Programs that may be started, beside the shells; nothing: all.
  std::optional<std::vector<std::string>> tools;
  [[nodiscard]] bool AllowsTool(std::string_view name) const {
    return !tools || std::ranges::find(*tools, name) != tools->end();
  }
  int nice = 0;            // of all that it does, 0 to 19
  bool tells_use = false;  // the daemon hears what it has (Kind::kUse)
  bool operator==(const LiveOptions&) const = default;
};

// Serves the socket until its other end is closed or the sandbox ends; then nothing of the sandbox
// is left. Over `forks` come sockets for forks. For a process that has no other children.
void RunLiveSandbox(const LiveOptions& options, OwnedFd socket, OwnedFd forks);

}  // namespace cordon::live

#endif  // CORDON_LIVE_LIVE_SANDBOX_H_
