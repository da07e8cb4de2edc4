#include "kernel/file_call.h"

#include <algorithm>
#include <cerrno>
#include <span>

#include "arena/platform.h"
#include "arena/spin.h"
#include "kernel/process.h"

namespace cordon::kernel {
namespace {

// A server that does not answer for so long is gone.
constexpr uint64_t kPatienceNs = 10'000'000'000;
// It cannot wake who sleeps for a signal, nor a signal who sleeps on its word: so both are looked
// at. Nothing that goes well waits for this.
constexpr uint64_t kLookNs = 20'000'000;

// A server that looks has answered within this time, or is busy; and a client that it asks.
constexpr uint64_t kSpinNs = 20'000;
constexpr uint64_t kClientSpinNs = 150'000;

// Private to a process. While who asks a client looks, the kernel wakes up the client where the
// server runs, and all goes on three times as fast: it is tried sooner again.
SpinHabit spin_habit, client_spin_habit(16);
// Of the service process.
uint64_t latest_end_ns = UINT64_MAX;

uint64_t EndOfPatience() {
  const uint64_t end = platform::ClockNs(1) + kPatienceNs;
  return Current().pid == kServicePid ? std::min(end, latest_end_ns) : end;
}

bool HasSignal() {
  return CurrentThread().sleeper.attention.load(std::memory_order_seq_cst) != 0;
}

// Sleeps on a word that still is what was seen, and no longer than a look.
void SleepOn(const std::atomic<uint32_t>& word, uint32_t seen) {
  platform::WaitOnWord(&word, seen, platform::ClockNs(1) + kLookNs);
}

bool IsAnsweredSoon(const control::FileCall& place, uint64_t ns) {
  using control::FileCall;
  if (!SpinUntilChanged(place.state, FileCall::kRequested, kSpinNs)) return false;
  return place.state.load() != FileCall::kServed ||
         SpinUntilChanged(place.state, FileCall::kServed, ns);
}

}  // namespace

void FileCall::LimitWaiting(uint64_t ns) {
  latest_end_ns = platform::ClockNs(1) + ns;
}

FileCall::FileCall(Server server) {
  control::Control& control = *TheKernel().control;
  const std::span all(control.file_calls);
  const auto places = server == Server::kDirectory ? all.first(control::kDirectoryFileCalls)
                                                   : all.subspan(control::kDirectoryFileCalls);
  const uint64_t end = EndOfPatience();
  for (;;) {
    const uint32_t left = control.file_calls_left.load();
    for (control::FileCall& one : places) {
      uint32_t expected = control::FileCall::kFree;
      if (!one.state.compare_exchange_strong(expected, control::FileCall::kTaken)) continue;
      place_ = &one;
      return;
    }
    error_ = HasSignal() ? kRestart : platform::ClockNs(1) >= end ? -EIO : 0;
    if (error_ != 0) return;
    SleepOn(control.file_calls_left, left);
  }
}

FileCall::~FileCall() {
  if (place_ == nullptr) return;
  control::Control& control = *TheKernel().control;
  place_->state.store(control::FileCall::kFree);
  control.file_calls_left.fetch_add(1);
  platform::WakeWord(&control.file_calls_left, 1);
}

int64_t FileCall::Ask(control::FileOp op, uint32_t mount, Repeat repeat) {
  control::Control& control = *TheKernel().control;
  place_->op.store(static_cast<uint32_t>(op));
  place_->mount.store(mount);
  place_->sleeps.store(0);
  place_->state.store(control::FileCall::kRequested);
  control.file_bell.fetch_add(1);
  const uint32_t looks = control.file_server_looks.load();
  if (looks == 0) platform::WakeWord(&control.file_bell, 1);
  const bool of_client = place_ - control.file_calls >= control::kDirectoryFileCalls;
  SpinHabit& habit = of_client ? client_spin_habit : spin_habit;
  const bool looks_elsewhere = looks != 0 && looks != ThisProcessor() + 1;
  if (looks_elsewhere && habit.IsWorthIt()) {
    habit.Note(IsAnsweredSoon(*place_, of_client ? kClientSpinNs : kSpinNs));
  }
  place_->sleeps.store(1 + ThisProcessor());
  const uint64_t end = EndOfPatience();
  int64_t lost = 0;
  for (uint32_t state = place_->state.load(); state != control::FileCall::kAnswered;
       state = place_->state.load()) {
    if (repeat == Repeat::kMay && HasSignal()) lost = kRestart;
    if (platform::ClockNs(1) >= end) lost = -EIO;
    // Not begun, it is taken back; begun, the server frees it when it has ended.
    const uint32_t next =
        state == control::FileCall::kServed ? control::FileCall::kLeft : control::FileCall::kFree;
    if (lost != 0 && place_->state.compare_exchange_strong(state, next)) {
      place_ = nullptr;
      control.file_calls_left.fetch_add(1);
      return lost;
    }
    if (lost == 0) SleepOn(place_->state, state);
  }
  return place_->result.load();
}

}  // namespace cordon::kernel
