#include "live/live_sandbox.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "base/write_all.h"
#include "live/file_calls.h"
#include "live/served_sandbox.h"

namespace cordon::live {
namespace {

constexpr std::string_view kHome = "/home/user";  // which the userland has

}  // namespace

Status ServedSandbox::Prepare() {
  if (!options_.state_folder.empty()) CORDON_TRY(state_calls_.OpenFolder(options_.state_folder));
  if (options_.tools) CORDON_TRY(mailbox_.AllowTools(*options_.tools));
  if (options_.directory != kHome) CORDON_TRY(mailbox_.MakeDirectory(options_.directory, 0755));
  return {};
}

void ServedSandbox::Serve() {
  if (const Status prepared = Prepare(); !prepared) {
    (void)Die(prepared.error().ToString());
    (void)Flush();
    return;
  }
  if (StartShell()) ServeClient();
}

void ServedSandbox::ServeClient() {
  {
    const std::lock_guard lock(mutex_);
    Queue({Kind::kReady, 0, {getpid()}, {}});
    if (!Flush()) return;
  }
  std::thread reader([this] { ReadRequests(); });
  for (;;) {
    const uint32_t bell = keeper_->Bell();
    Clock::time_point wake = {};
    {
      const std::lock_guard lock(mutex_);
      const bool lives = Progress() && !IsAskedToEnd();
      if (!Flush() || !lives) break;
      wake = NextWake();
    }
    keeper_->WaitForBell(bell, wake);
  }
  EndServing();
}

void ServedSandbox::ReadRequests() {
  FrameReader frames;
  std::string buffer(64 * 1024, '\0');
  for (;;) {
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    frames.Add({buffer.data(), static_cast<size_t>(got)});
    const std::lock_guard lock(mutex_);
    for (;;) {
      Result<std::optional<Frame>> frame = frames.Next();
      if (!frame) return EndServing();
      if (!*frame) break;
      Handle(std::move(**frame));
    }
    // Whoever asked does not wait for what else is to be looked after.
    (void)Flush();
    (void)Progress();
    (void)Flush();
    // The sleep of the other thread may end earlier now.
    backend::Keeper::WakeUp(page_);
  }
  EndServing();
}

void ServedSandbox::EndServing() {
  const std::lock_guard lock(mutex_);
  keeper_->Kill();
  std::_Exit(0);
}

bool ServedSandbox::IsAskedToEnd() {
  const std::vector<int> signals = signals_.Take();
  return std::ranges::find(signals, SIGTERM) != signals.end();
}

bool ServedSandbox::Flush() {
  const bool sent = SendAll(socket_.get(), outgoing_);
  outgoing_.clear();
  return sent;
}

void ServedSandbox::Handle(Frame frame) {
  if (!IsForNow(frame)) return;
  switch (frame.kind) {
    case Kind::kRun:
    case Kind::kSpawn: {
      auto run = std::make_unique<Run>();
      run->in_session = frame.kind == Kind::kRun;
      run->request = std::move(frame);
      waiting_.push_back(std::move(run));
      return StartRuns();
    }
    case Kind::kInput:
    case Kind::kCloseInput:
    case Kind::kCredit:
    case Kind::kSignal:
    case Kind::kCancel:
    case Kind::kResize:
      return HandleForRun(frame);
    case Kind::kHistory:
      if (frame.arg[0] != 0) history_.Clear(mailbox_);
      return Answer(frame.id, history_.first_index(), history_.List(mailbox_));
    case Kind::kSetHistory: {
      const Status restored = history_.Restore(mailbox_, frame.payload);
      return Answer(frame.id, restored ? 0 : -EIO, {});
    }
    case Kind::kSuspend:
      return Suspend(frame.id);
    case Kind::kResume:
      return Resume(frame.id);
    case Kind::kWatch: {
      FileAnswer answer = watches_.Add(frame.id, frame.payload, frame.arg[0] != 0);
      return Answer(frame.id, answer.result, std::move(answer.payload));
    }
    case Kind::kUnwatch:
      // The last word about it.
      (void)watches_.Remove(frame.id);
      return Answer(frame.id, -ECANCELED, {});
    case Kind::kHostWant:
    case Kind::kHostOutput:
    case Kind::kHostExit:
      return host_calls_.Handle(frame);
    case Kind::kTellUse:
      sampler_.MeasureNow();
      return TellUse(Asked::kYes);
    case Kind::kFork:
      return Fork(frame);
    case Kind::kEndTurn:
      return EndTurn(frame.id);
    case Kind::kTakeTurn:
    case Kind::kSnapshot: {
      auto run = std::make_unique<Run>();
      run->in_session = true;
      run->request = std::move(frame);
      waiting_.push_back(std::move(run));
      return StartRuns();
    }
    case Kind::kBlobGive:
    case Kind::kBlobTake:
    case Kind::kExportFile: {
      FileAnswer answer = state_calls_.AnswerWithFile(frame, forks_.get());
      return Answer(frame.id, answer.result, std::move(answer.payload));
    }
    case Kind::kRestore:
      return Restore(frame.id, frame.payload);
    case Kind::kListSnapshots:
      return ListSnapshots(frame.id);
    case Kind::kDeleteSnapshot:
      return DeleteSnapshot(frame.id, frame.payload);
    case Kind::kGuestReply:
      return channels_.Answer(frame.arg[0], frame.arg[1], std::move(frame.payload),
                              frame.arg[2] != 0);
    default: {
      FileAnswer answer = IsStateCall(frame.kind)           ? state_calls_.Answer(frame)
                          : frame.kind == Kind::kAddCommand ? AddCommand(mailbox_, frame)
                          : IsMountCall(frame.kind)         ? mounts_.Answer(frame)
                          : IsPackageCall(frame.kind)       ? package_calls_.Answer(frame)
                                                            : AnswerFileCall(mailbox_, frame);
      return Answer(frame.id, answer.result, std::move(answer.payload));
    }
  }
}

void ServedSandbox::Answer(uint32_t id, int64_t result, std::string payload) {
  Queue({Kind::kAnswer, id, {result}, std::move(payload)});
}

Run* ServedSandbox::FindRun(uint32_t id) {
  for (auto* list : {&running_, &waiting_}) {
    for (const auto& run : *list) {
      if (run->request.id == id) return run.get();
    }
  }
  return nullptr;
}

void ServedSandbox::HandleForRun(Frame& frame) {
  Run* run = FindRun(frame.id);
  if (run == nullptr) {
    if (frame.kind == Kind::kInput) Queue({Kind::kTaken, frame.id, {-EPIPE}, {}});
    return;
  }
  const bool is_running = run->number != 0;
  switch (frame.kind) {
    case Kind::kInput:
      run->early_input.push_back(std::move(frame.payload));
      return FeedInput(*run);
    case Kind::kCloseInput:
      run->request.arg[3] &= ~int64_t{kHasInput};
      return FeedInput(*run);
    case Kind::kCredit:
      if (is_running && frame.arg[0] >= 1 && frame.arg[0] <= 2) {
        auto& output = run->output[frame.arg[0] - 1];
        if (output) output->AddCredit(std::clamp<int64_t>(frame.arg[1], 0, kFirstCredit * 64));
      }
      return;
    case Kind::kSignal:
      if (is_running && !run->ended) SignalRun(*run, static_cast<int>(frame.arg[0]));
      return;
    case Kind::kCancel:
      return Interrupt(*run, EndClass::kCancelled);
    case Kind::kResize:
      if (is_running) {
        (void)mailbox_.Resize(run->job, static_cast<uint32_t>(frame.arg[0]) & 0xffff,
                              static_cast<uint32_t>(frame.arg[1]) & 0xffff);
      }
      return;
    default:
      return;
  }
}

void RunLiveSandbox(const LiveOptions& options, OwnedFd socket, OwnedFd forks) {
  backend::SandboxOptions sandbox = options.sandbox;
  sandbox.can_fork = true;
  sandbox.private_fds = {socket.get(), forks.get()};
  // Everything that is started from here on inherits it. Nobody becomes more urgent than the
  // daemon.
  if (options.nice > getpriority(PRIO_PROCESS, 0) &&
      setpriority(PRIO_PROCESS, 0, options.nice) != 0) {
    const Error error = SystemError("setpriority").error();
    (void)SendAll(socket.get(), Encode({Kind::kDead, 0, {}, error.ToString()}));
    return;
  }
  Result<std::unique_ptr<backend::Keeper>> keeper = backend::Keeper::Start(sandbox);
  if (!keeper) {
    const Frame dead = {Kind::kDead, 0, {}, keeper.error().ToString()};
    (void)SendAll(socket.get(), Encode(dead));
    return;
  }
  ServedSandbox(options, std::move(*keeper), std::move(socket), std::move(forks)).Serve();
}

}  // namespace cordon::live
