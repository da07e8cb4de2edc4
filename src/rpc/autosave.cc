#include "rpc/autosave.h"

#include <optional>
#include <utility>

#include "rpc/state_flow.h"

namespace cordon::rpc {
namespace {

using live::Frame;
using live::Kind;

// `then` hears it; false when the sandbox does not say.
void AskWhetherBusy(const std::shared_ptr<Sandbox>& sandbox, std::function<void(bool)> then) {
  sandbox->link->Ask({Kind::kUsage, 0, {}, {}}, [then = std::move(then)](const Frame& frame) {
    const std::optional<control::Usage> usage = ReadUsage(frame);
    // The session's shell is one.
    then(usage && usage->processes_now > 1);
    return true;
  });
}

}  // namespace

void SaveState(const std::shared_ptr<Sandbox>& sandbox, std::function<void(bool)> then,
               const std::function<void(const RpcError&)>& refuse) {
  const auto save = [sandbox, then = std::move(then), refuse](const std::string& config,
                                                              const Turn& turn) {
    AskKeeper(
        sandbox, {Kind::kSaveState, 0, {}, config},
        [then, turn](const Frame& answer) { then(answer.arg[0] != 0); }, refuse);
  };
  TakeTurnBetweenCommands(
      sandbox,
      [sandbox, save, refuse](const Turn& turn) { CaptureState(sandbox, turn, save, refuse); },
      // Whoever runs a command for an hour does not wait for its end to have files saved.
      [save] { save({}, nullptr); }, refuse);
}

AutoSave::AutoSave(asio::io_context& loop, std::weak_ptr<Sandbox> sandbox,
                   std::chrono::milliseconds interval)
    : timer_(loop), sandbox_(std::move(sandbox)), interval_(interval) {}

void AutoSave::Touch() {
  is_touched_ = true;
  if (state_ == State::kIdle) Arm();
}

void AutoSave::Arm() {
  state_ = State::kWaiting;
  timer_.expires_after(interval_);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->state_ == State::kWaiting) self->Save();
  });
}

void AutoSave::Save() {
  const std::shared_ptr<Sandbox> sandbox = sandbox_.lock();
  if (!sandbox || sandbox->link->closed()) return End();
  if (holds_ > 0) return finish_ ? End() : Arm();
  state_ = State::kSaving;
  is_touched_ = false;
  SaveState(
      sandbox,
      [self = shared_from_this(), sandbox](bool changed) {
        self->error_.clear();
        self->Saved(sandbox, changed);
      },
      [self = shared_from_this(), sandbox](const RpcError& error) {
        self->Report(sandbox, error.message);
        // It is tried again: the folder has the state of before.
        self->Saved(sandbox, true);
      });
}

// Once for each reason, not in each interval.
void AutoSave::Report(const std::shared_ptr<Sandbox>& sandbox, const std::string& error) {
  if (std::exchange(error_, error) == error) return;
  const std::shared_ptr<Client> owner = sandbox->owner.lock();
  if (!owner) return;
  owner->Send(
      NotificationMessage("persistence.failed", {{"sandboxId", sandbox->id}, {"error", error}}));
}

void AutoSave::Saved(const std::shared_ptr<Sandbox>& sandbox, bool again) {
  if (finish_) return SaveLast();
  if (again || is_touched_ || !sandbox->running.empty()) return Arm();
  AskWhetherBusy(sandbox, [self = shared_from_this()](bool busy) {
    if (self->finish_) return self->SaveLast();
    if (busy || self->is_touched_) return self->Arm();
    self->state_ = State::kIdle;
  });
}

AutoSave::Held AutoSave::Hold() {
  ++holds_;
  return Held(this, [self = shared_from_this()](void*) { self->Release(); });
}

void AutoSave::Release() {
  if (--holds_ == 0) Touch();
}

void AutoSave::Finish(std::function<void(const std::string&)> then) {
  finish_ = std::move(then);
  timer_.cancel();
  // One that is on its way may have missed what came after it began.
  if (state_ != State::kSaving) SaveLast();
}

void AutoSave::SaveLast() {
  if (std::exchange(is_last_, true)) return End();
  Save();
}

void AutoSave::End() {
  state_ = State::kIdle;
  const std::string error = error_;
  if (const auto finish = std::exchange(finish_, nullptr)) finish(error);
}

AutoSave::Held HoldSaves(const Sandbox& sandbox) {
  return sandbox.autosave ? sandbox.autosave->Hold() : nullptr;
}

}  // namespace cordon::rpc
