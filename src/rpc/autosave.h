#ifndef CORDON_RPC_AUTOSAVE_H_
#define CORDON_RPC_AUTOSAVE_H_

// Saves a persistent sandbox while things happen in it: an interval after somebody touched it, and
// again until nothing changes and nothing runs. Never two saves at once.

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "rpc/server.h"

namespace cordon::rpc {

class AutoSave : public std::enable_shared_from_this<AutoSave> {
 public:
  AutoSave(asio::io_context& loop, std::weak_ptr<Sandbox> sandbox,
           std::chrono::milliseconds interval);

  // Something happens in the sandbox.
  void Touch();
  // No save begins while what it gives lives: what is going on is half done until then. Where the
  // sandbox ends before, its last save is not made.
  using Held = std::shared_ptr<void>;
  [[nodiscard]] Held Hold();
  // The last save; `then` hears why it could not be, or nothing.
  void Finish(std::function<void(const std::string& error)> then);

 private:
  void Arm();
  void Save();
  void Report(const std::shared_ptr<Sandbox>& sandbox, const std::string& error);
  void Saved(const std::shared_ptr<Sandbox>& sandbox, bool again);
  void SaveLast();
  void End();
  void Release();

  asio::steady_timer timer_;
  std::weak_ptr<Sandbox> sandbox_;
  std::chrono::milliseconds interval_;
  enum class State { kIdle, kWaiting, kSaving } state_ = State::kIdle;
  bool is_touched_ = false;  // while it was saved
  bool is_last_ = false;
  int holds_ = 0;
  std::string error_;  // of the last attempt
  std::function<void(const std::string&)> finish_;
};

// The same of a sandbox that may have none.
[[nodiscard]] AutoSave::Held HoldSaves(const Sandbox& sandbox);

// One save: what the session knows where no command runs in it, and otherwise as it was known last.
// `then` hears whether anything was new.
void SaveState(const std::shared_ptr<Sandbox>& sandbox, std::function<void(bool)> then,
               const std::function<void(const RpcError&)>& refuse);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_AUTOSAVE_H_
