#ifndef CORDON_LIVE_SERVED_SANDBOX_H_
#define CORDON_LIVE_SERVED_SANDBOX_H_

// One sandbox and whoever holds the other end of its socket. What it does is in live_sandbox.cc
// (the socket), served_runs.cc (how runs begin and are interrupted), served_session.cc (what
// happens in the sandbox), served_policy.cc (what it was not allowed), served_suspend.cc (how it
// stands still) and served_state.cc (forks and snapshots).

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backend/wasm/client_signals.h"
#include "backend/wasm/keeper.h"
#include "backend/wasm/mailbox.h"
#include "backend/wasm/usage_sampler.h"
#include "base/owned_fd.h"
#include "live/frame.h"
#include "live/guest_channels.h"
#include "live/history.h"
#include "live/host_calls.h"
#include "live/live_sandbox.h"
#include "live/mounts.h"
#include "live/package_calls.h"
#include "live/run.h"
#include "live/shell.h"
#include "live/state_calls.h"
#include "live/stream.h"
#include "live/watches.h"

namespace cordon::live {

class ServedSandbox {
 public:
  ServedSandbox(const LiveOptions& options, std::unique_ptr<backend::Keeper> keeper, OwnedFd socket,
                OwnedFd forks)
      : options_(options),
        keeper_(std::move(keeper)),
        mailbox_(*keeper_),
        page_(keeper_->page()),
        signals_(page_),
        socket_(std::move(socket)),
        forks_(std::move(forks)),
        sampler_(*keeper_, {{}, options.sandbox.sizes.memory_bytes, options.tells_use}, {}) {
    FreeAllJobs();
  }

  void Serve();

 private:
  // Two threads: this one sleeps on the sandbox's bell, the other on the socket. Whoever wakes
  // takes the lock for as long as it works.
  void ServeClient();

  // --- the socket ---
  void ReadRequests();

  // The other thread may be in a call that never ends.
  [[noreturn]] void EndServing();

  // A Ctrl-C is for the daemon, which closes the socket if it means the sandbox.
  bool IsAskedToEnd();
  void Queue(const Frame& frame) { outgoing_ += Encode(frame); }

  bool Flush();
  void Handle(Frame frame);
  void Answer(uint32_t id, int64_t result, std::string payload);
  Run* FindRun(uint32_t id);
  void HandleForRun(Frame& frame);

  // --- runs ---
  // What there must be before anything runs.
  [[nodiscard]] Status Prepare();
  bool StartShell();
  uint32_t NextNumber();

  // Those whose turn it is: one in the session, and as many processes as there are streams for.
  void StartRuns();
  // One that somebody asked for, and no question of ours.
  [[nodiscard]] bool IsCommandRunning() const;
  // For this one, which may want another.
  bool IsShellReady(const Run& run);
  void Start(Run& run);
  Status BeginInSession(Run& run);
  Status SpawnProcess(Run& run);

  // It never ran; the client reads the reason on its error stream.
  void Refuse(Run& run, const std::string& reason);
  void FeedInput(Run& run);
  void SignalRun(const Run& run, int number);

  // --- time-outs and cancellation ---
  void Interrupt(Run& run, EndClass end_class);
  void ContinueInterrupt(Run& run);

  // --- what happened in the sandbox ---
  // False: it is over.
  bool Progress();
  bool Die(const std::string& reason);
  enum class Asked { kNo, kYes };
  void TellUse(Asked asked);
  void WatchShell();
  // What guests ask for goes to the daemon.
  void ServeChannels();
  void TellGone(const std::vector<GuestChannels::Gone>& gone);

  // A command may have given itself another prompt. Then the shell waits for input, having read all
  // that there was, and says nothing.
  void RepairPrompt();
  void WatchForPrompt();

  // Nothing of its script was read.
  [[nodiscard]] bool IsUnread(const Run& run) const;
  // The shell answered without having opened the script: it has no descriptor left for it, or was
  // made one that may not redirect. Nor could it ever be told to undo that.
  [[nodiscard]] bool CouldNotBegin(int status) const;
  void ReplaceShell();
  // The last command made the shell end, and it ended after the next was given to it: that one goes
  // to the next shell.
  bool RestartUnread();
  void EndInSession(int status, int signal);
  void WatchProcess(Run& run);

  // Of a run that has ended.
  [[nodiscard]] RunFigures Measure(const Run& run);
  // What a background process writes from now on is not part of the result.
  void End(Run& run, int exit_code, int signal);

  // --- standing still (served_suspend.cc) ---
  [[nodiscard]] bool is_suspended() const { return suspended_.has_value(); }
  void Suspend(uint32_t id);
  void Resume(uint32_t id);
  // False: the frame waits until the sandbox goes on, or until the turn has ended.
  bool IsForNow(Frame& frame);
  void HandleHeld();
  void EndTurn(uint32_t id);

  // --- the policy (served_policy.cc) ---
  // What the kernel refused and which limits were met since it was asked last.
  void TakePolicyEvents();
  void TakeDenials();
  void TakeLimits();
  // So many more were, of which nothing else is known. 0: it was no run's.
  void TellDenied(uint32_t run_number, const std::string& name, uint32_t lost);
  // A guest that may not ask for packages hears what a program hears that may not be started.
  void RefuseRequest(const GuestChannels::Request& request);
  // Of a sandbox whose control page is another one now.
  void SkipDenials() { denials_seen_ = page_.denials.count.load(); }
  Run* FindRunByNumber(uint32_t number);

  // A guest that writes without end must not keep us from its time-out.
  bool HasTakenEnough(int count);
  void MoveOutput(Run& run);
  // Of a run that was interrupted: whoever hears of its end finds nothing of it.
  [[nodiscard]] bool IsAnybodyLeft(Run& run);
  void FinishIfDrained(Run& run);
  bool Retire(const Run& run);
  Clock::time_point NextWake();

  // --- forks and snapshots ---
  void FreeAllJobs();

  // A shell draws its random numbers from a state of its own, which a copy has too.
  void SeedIfWanted();
  void Fork(const Frame& request);
  // Two for each of the forks.
  [[nodiscard]] Result<std::vector<OwnedFd>> TakeForkSockets(const Frame& request);

  // In the new process, which has one thread and all that the sandbox's keeper knew.
  [[noreturn]] void BecomeFork(backend::SandboxCopy copy, std::vector<OwnedFd> sockets);
  void Adopt(backend::SandboxCopy copy, std::vector<OwnedFd> sockets);
  void TakeSnapshot(const Frame& request);
  void Restore(uint32_t id, const std::string& name);
  void ListSnapshots(uint32_t id);
  void DeleteSnapshot(uint32_t id, const std::string& name);

  struct Snapshot {
    backend::SandboxCopy copy;
    // Of its session.
    OutputStream output, prompts;
    PromptReader reader;
    uint32_t number;
    Clock::time_point at;
    std::chrono::system_clock::time_point time;
    uint64_t memory_bytes;  // that it keeps
  };

  const LiveOptions& options_;
  std::recursive_mutex mutex_;
  std::unique_ptr<backend::Keeper> keeper_;
  backend::Mailbox mailbox_;
  control::Control& page_;
  backend::ClientSignals signals_;  // a child that dies rings the bell
  OwnedFd socket_, forks_;
  backend::UsageSampler sampler_;
  std::optional<SandboxUse> told_use_;
  std::string outgoing_;
  std::list<std::unique_ptr<Run>> waiting_, running_;
  std::vector<uint32_t> free_jobs_;
  uint32_t last_number_ = 0;
  uint32_t denials_seen_ = 0;
  Session session_;
  std::map<std::string, Snapshot> snapshots_;
  History history_;
  StateCalls state_calls_{*keeper_, options_.sandbox};
  Watches watches_{*keeper_, page_};
  std::optional<Clock::time_point> suspended_;  // since
  std::optional<uint32_t> turn_;                // the kTakeTurn that has the session for itself
  std::vector<Frame> held_;                     // that came meanwhile
  std::map<int64_t, std::vector<OwnedFd>> held_sockets_;  // of kForks among them, by their number
  Mounts mounts_{*keeper_};
  HostCalls host_calls_{page_, [this](const Frame& frame) { Queue(frame); }};
  PackageCalls package_calls_{*keeper_, options_};
  GuestChannels channels_{page_};
  bool damaged_ = false;
  bool is_busy_ = false;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_SERVED_SANDBOX_H_
