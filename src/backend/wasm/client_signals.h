#ifndef CORDON_BACKEND_WASM_CLIENT_SIGNALS_H_
#define CORDON_BACKEND_WASM_CLIENT_SIGNALS_H_

// Signals of the client to this process, for as long as a command runs: noted by a handler, which
// rings the keeper's bell, and taken by the keeper's loop.

#include <array>
#include <csignal>
#include <vector>

#include "kernel/control.h"

namespace cordon::backend {

// At most one at a time in a process.
class ClientSignals {
 public:
  explicit ClientSignals(control::Control& page);
  ClientSignals(const ClientSignals&) = delete;
  ClientSignals& operator=(const ClientSignals&) = delete;
  // Restores what was there before.
  ~ClientSignals();

  // Those that came since the last time, without SIGCHLD.
  [[nodiscard]] std::vector<int> Take() const;

 private:
  static constexpr std::array kNoted = {SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
  std::array<struct sigaction, kNoted.size()> before_ = {};
  struct sigaction broken_pipe_before_ = {};
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_CLIENT_SIGNALS_H_
