#include "live/live_sandbox.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <list>
#include <mutex>
#include <thread>

#include "backend/end.h"
#include "backend/wasm/client_signals.h"
#include "backend/wasm/mailbox.h"
#include "backend/wasm/usage_sampler.h"
#include "live/file_calls.h"
#include "live/history.h"
#include "live/run.h"
#include "live/shell.h"

namespace cordon::live {
namespace {

using backend::Keeper;
using backend::Mailbox;
using backend::UsageSampler;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr uint32_t kSessionJob = 0;
constexpr size_t kMostQueued = 512 * 1024;
// Pieces of a stream that are moved before something else is looked at.
constexpr int kMostTaken = 16;
// New shells for one command that none of them began.
constexpr int kMostShells = 3;
// Between two attempts to interrupt a shell: the first lets programs see SIGINT, as a terminal
// would, the others end what is left.
constexpr milliseconds kInterruptPeriod{15};
// A shell that ignores interrupts so often is ended itself.
constexpr int kMostInterrupts = 40;
constexpr milliseconds kLongestLookPeriod{1000};

class LiveSandbox {
 public:
  LiveSandbox(const LiveOptions& options, std::unique_ptr<Keeper> keeper, OwnedFd socket)
      : options_(options),
        keeper_(std::move(keeper)),
        mailbox_(*keeper_),
        page_(keeper_->page()),
        signals_(page_),
        socket_(std::move(socket)),
        sampler_(*keeper_, {{}, options.sandbox.sizes.memory_bytes}, {}) {
    for (uint32_t job = 1; job < control::kMaxJobs; ++job) free_jobs_.push_back(job);
  }

  // Two threads: this one sleeps on the sandbox's bell, the other on the socket. Whoever wakes
  // takes the lock for as long as it works.
  void Serve() {
    {
      const std::lock_guard lock(mutex_);
      if (!StartShell()) return;
      Queue({Kind::kReady, 0, {keeper_->isolation().pid_namespace ? 1 : 0}, {}});
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

 private:
  // --- the socket ---
  void ReadRequests() {
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
      (void)Progress();
      (void)Flush();
      // The sleep of the other thread may end earlier now.
      Keeper::WakeUp(page_);
    }
    EndServing();
  }

  // The other thread may be in a call that never ends.
  [[noreturn]] void EndServing() {
    const std::lock_guard lock(mutex_);
    keeper_->Kill();
    std::_Exit(0);
  }

  // A Ctrl-C is for the daemon, which closes the socket if it means the sandbox.
  bool IsAskedToEnd() {
    const std::vector<int> signals = signals_.Take();
    return std::ranges::find(signals, SIGTERM) != signals.end();
  }

  void Queue(const Frame& frame) { outgoing_ += Encode(frame); }

  bool Flush() {
    const bool sent = SendAll(socket_.get(), outgoing_);
    outgoing_.clear();
    return sent;
  }

  void Handle(Frame frame) {
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
      default: {
        FileAnswer answer = AnswerFileCall(mailbox_, frame);
        return Answer(frame.id, answer.result, std::move(answer.payload));
      }
    }
  }

  void Answer(uint32_t id, int64_t result, std::string payload) {
    Queue({Kind::kAnswer, id, {result}, std::move(payload)});
  }

  Run* FindRun(uint32_t id) {
    for (auto* list : {&running_, &waiting_}) {
      for (const auto& run : *list) {
        if (run->request.id == id) return run.get();
      }
    }
    return nullptr;
  }

  void HandleForRun(Frame& frame) {
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

  // --- runs ---

  bool StartShell() {
    session_ = {};
    backend::JobStart start;
    start.job = kSessionJob;
    start.directory = options_.directory;
    start.arguments = ShellArguments();
    start.environment = options_.environment;
    start.run = NextNumber();
    if (!mailbox_.Spawn(start) || !mailbox_.Feed(kSessionJob, ShellPreparation())) return false;
    control::Ring* rings = page_.rings;
    session_.output = std::make_unique<OutputStream>(page_, rings[1], UINT64_MAX);
    session_.prompts = std::make_unique<OutputStream>(page_, rings[2], UINT64_MAX);
    session_.alive = true;
    session_.number = start.run;
    return true;
  }

  uint32_t NextNumber() {
    if (++last_number_ == 0) ++last_number_;
    return last_number_;
  }

  // Those whose turn it is: one in the session, and as many processes as there are streams for.
  void StartRuns() {
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      Run& run = **it;
      if (free_jobs_.empty() ||
          (run.in_session && (session_.current != nullptr || session_.is_settling))) {
        ++it;
        continue;
      }
      running_.push_back(std::move(*it));
      it = waiting_.erase(it);
      Start(*running_.back());
    }
  }

  void Start(Run& run) {
    if (run.in_session) WatchShell();
    if (run.in_session && !session_.alive && !StartShell()) return Refuse(run, "no shell starts");
    run.job = free_jobs_.back();
    free_jobs_.pop_back();
    run.number = NextNumber();
    const auto& arg = run.request.arg;
    run.started = Clock::now();
    if (arg[0] > 0) run.deadline = run.started + milliseconds(arg[0]);
    const Status started = run.in_session ? BeginInSession(run) : SpawnProcess(run);
    if (!started) return Refuse(run, started.error().ToString());
    control::Ring* rings = page_.rings + uint64_t{run.job} * control::kRingsPerJob;
    run.input = std::make_unique<InputStream>(page_, rings[0]);
    for (const int i : {0, 1}) {
      if (i == 1 && (arg[3] & kHasTerminal) != 0) continue;
      run.output[i] =
          std::make_unique<OutputStream>(page_, rings[i + 1], static_cast<uint64_t>(arg[1 + i]));
    }
    FeedInput(run);
  }

  Status BeginInSession(Run& run) {
    if (!std::exchange(run.is_recorded, true) && (run.request.arg[3] & kUnrecorded) == 0) {
      CORDON_TRY(history_.Add(mailbox_, run.request.payload));
    }
    session_.current = &run;
    WatchForPrompt();
    const auto begin = [&] {
      // A script is never empty: what was read of it says whether the shell began.
      return mailbox_.BeginRun(kSessionJob, run.job, run.number,
                               (run.request.arg[3] & kHasInput) == 0, run.request.payload + "\n");
    };
    const Status begun = begin();
    if (begun || begun.error().system_errno != ESRCH) return begun;
    // The shell is just ending.
    if (!StartShell()) return begun;
    return begin();
  }

  Status SpawnProcess(Run& run) {
    backend::JobStart start;
    PayloadReader strings(run.request.payload);
    const auto& arg = run.request.arg;
    if (!strings.TakeString(&start.directory)) return Fail(ErrorCode::kInvalid, "no directory");
    const auto take = [&strings](int64_t count, std::vector<std::string>* list) {
      for (int64_t i = 0; i < count; ++i) {
        if (!strings.TakeString(&list->emplace_back())) return false;
      }
      return true;
    };
    if (!take(arg[4], &start.arguments) || !take(arg[5], &start.environment) ||
        start.arguments.empty()) {
      return Fail(ErrorCode::kInvalid, "no command");
    }
    if (start.directory.empty()) start.directory = options_.directory;
    start.job = run.job;
    start.run = run.number;
    start.has_terminal = (arg[3] & kHasTerminal) != 0;
    start.rows = static_cast<uint32_t>(arg[6]) & 0xffff;
    start.columns = static_cast<uint32_t>(arg[7]) & 0xffff;
    std::vector<std::string> environment = options_.environment;
    for (std::string& variable : start.environment) {
      const std::string name = variable.substr(0, variable.find('=') + 1);
      std::erase_if(environment, [&](const std::string& old) { return old.starts_with(name); });
      environment.push_back(std::move(variable));
    }
    start.environment = std::move(environment);
    return mailbox_.Spawn(start);
  }

  // It never ran; the client reads the reason on its error stream.
  void Refuse(Run& run, const std::string& reason) {
    Queue({Kind::kOutput, run.request.id, {2}, "cordon: " + reason + "\n"});
    Queue({Kind::kEnd, run.request.id, {125, 0, 0, 0, 0}, {}});
    run.ended = true;
    run.exit_code = -1;
    if (session_.current == &run) session_.current = nullptr;
  }

  void FeedInput(Run& run) {
    if (run.input == nullptr) return;
    for (std::string& bytes : run.early_input) run.input->Add(std::move(bytes));
    run.early_input.clear();
    if ((run.request.arg[3] & kHasInput) == 0) run.input->Close();
    const InputStream::Moved moved = run.input->Move();
    if (moved.state == InputStream::State::kDamaged) damaged_ = true;
    if (moved.taken > 0) Queue({Kind::kTaken, run.request.id, {moved.taken}, {}});
    if (moved.broken) Queue({Kind::kTaken, run.request.id, {-EPIPE}, {}});
  }

  void SignalRun(const Run& run, int number) {
    (void)mailbox_.SignalRun(run.number, number, Mailbox::Shell::kToo);
  }

  // --- time-outs and cancellation ---
  void Interrupt(Run& run, EndClass end_class) {
    if (run.end_class != EndClass::kNone || run.ended) return;
    run.end_class = end_class;
    if (run.number == 0) {
      // It has not begun.
      Queue({Kind::kEnd,
             run.request.id,
             {backend::kTimedOut, 0, static_cast<int64_t>(end_class), 0, 0},
             {}});
      std::erase_if(waiting_, [&](const auto& waiting) { return waiting.get() == &run; });
      return;
    }
    run.next_interrupt = Clock::now();
    ContinueInterrupt(run);
  }

  void ContinueInterrupt(Run& run) {
    if (run.ended || Clock::now() < run.next_interrupt) return;
    run.next_interrupt = Clock::now() + kInterruptPeriod;
    const int step = run.interrupts++;
    if (!run.in_session || step >= kMostInterrupts) return SignalRun(run, SIGKILL);
    // A shell whose command ended by SIGINT gives up what comes after it; by another signal, not.
    if (step > 0) (void)mailbox_.SignalRun(run.number, SIGINT, Mailbox::Shell::kSparedAndForced);
    if (step > 0) (void)mailbox_.SignalRun(run.number, SIGCONT, Mailbox::Shell::kSpared);
    if (step > 2) (void)mailbox_.SignalRun(run.number, SIGKILL, Mailbox::Shell::kSpared);
    SignalRun(run, SIGINT);
  }

  // --- what happened in the sandbox ---
  // False: it is over.
  bool Progress() {
    if (const Status alive = keeper_->Reap(); !alive) return Die(alive.error().ToString());
    WatchShell();
    for (const auto& run : running_) {
      if (run->number == 0 || run->output[0] == nullptr) continue;
      if (!run->in_session && !run->ended) WatchProcess(*run);
      FeedInput(*run);
      MoveOutput(*run);
      const auto now = Clock::now();
      if (now >= run->deadline) Interrupt(*run, EndClass::kTimeout);
      ContinueInterrupt(*run);
      if (run->ended) FinishIfDrained(*run);
    }
    const size_t before = running_.size();
    std::erase_if(running_, [this](const auto& run) { return Retire(*run); });
    if (running_.size() != before || !waiting_.empty()) StartRuns();
    if (damaged_) return Die("sandbox ended: its control page is damaged");
    if (sampler_.Sample(Clock::now()) == UsageSampler::Verdict::kMemory) {
      return Die("sandbox ended: more memory than its limit was taken");
    }
    return true;
  }

  bool Die(const std::string& reason) {
    Queue({Kind::kDead, 0, {}, reason.substr(0, 4096)});
    return false;
  }

  void WatchShell() {
    if (!session_.alive) return;
    for (int i = 0; i < kMostTaken && session_.output->Take().state == OutputStream::State::kMore;
         ++i) {
      session_.output->AddCredit(kFirstCredit);
    }
    for (int i = 0;; ++i) {
      if (HasTakenEnough(i)) break;
      const OutputStream::Taken taken = session_.prompts->Take();
      if (taken.state == OutputStream::State::kDamaged) damaged_ = true;
      if (taken.state != OutputStream::State::kMore) break;
      session_.prompts->AddCredit(static_cast<int64_t>(taken.bytes.size()));
      for (const PromptReader::Ended& ended : session_.reader.Read(taken.bytes)) {
        if (session_.is_settling) {
          session_.is_settling = !ended.is_repair;
        } else {
          EndInSession(ended.status, 0);
        }
      }
    }
    const control::Job& job = page_.jobs[kSessionJob];
    if (job.state.load() == control::Job::kExited) {
      const auto status = static_cast<int>(job.wait_status.load());
      session_.alive = session_.is_settling = false;
      if (RestartUnread()) return;
      const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      EndInSession(signal != 0 ? 128 + signal : WEXITSTATUS(status), signal);
      return;
    }
    RepairPrompt();
  }

  // A command may have given itself another prompt. Then the shell waits for input, having read all
  // that there was, and says nothing.
  void RepairPrompt() {
    if (session_.current == nullptr && !session_.is_settling) return;
    const auto now = Clock::now();
    if (now < session_.next_look) return;
    control::Ring& ring = page_.rings[0];
    session_.looks = !session_.looks;
    if (session_.looks) {
      // Whoever waits says so again.
      ring.reader_wants.store(0);
      RingService(page_);
    } else if (ring.reader_wants.load() != 0 && ring.written.load() == ring.read.load()) {
      (void)mailbox_.Feed(kSessionJob, PromptRepair());
    } else {
      session_.look_period = std::min<milliseconds>(session_.look_period * 2, kLongestLookPeriod);
    }
    session_.next_look = now + session_.look_period;
  }

  void WatchForPrompt() {
    session_.looks = false;
    session_.look_period = kPromptPatience;
    session_.next_look = Clock::now() + kPromptPatience;
  }

  // The last command made the shell end, and it ended after the next was given to it: that one goes
  // to the next shell.
  bool RestartUnread() {
    Run* run = session_.current;
    if (run == nullptr) return false;
    const uint32_t script = run->job * control::kRingsPerJob + control::kScriptRing;
    if (page_.rings[script].read.load() != 0 || ++run->shells > kMostShells) return false;
    if (!StartShell()) return false;
    return BeginInSession(*run).has_value();
  }

  void EndInSession(int status, int signal) {
    Run* run = std::exchange(session_.current, nullptr);
    if (run == nullptr) return;
    End(*run, status, signal);
    if (run->end_class == EndClass::kNone || !session_.alive) return;
    // An interrupt may still be on its way. Whatever follows this line has it behind itself.
    session_.is_settling = true;
    WatchForPrompt();
    (void)mailbox_.Feed(kSessionJob, PromptRepair());
  }

  void WatchProcess(Run& run) {
    const control::Job& job = page_.jobs[run.job];
    if (job.state.load() != control::Job::kExited) return;
    const auto status = static_cast<int>(job.wait_status.load());
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    End(run, signal != 0 ? 128 + signal : WEXITSTATUS(status), signal);
  }

  // What a background process writes from now on is not part of the result.
  void End(Run& run, int exit_code, int signal) {
    run.ended = true;
    run.exit_code = exit_code;
    run.signal = signal;
    if (run.end_class != EndClass::kNone) {
      run.exit_code = backend::kTimedOut;
      (void)mailbox_.SignalRun(run.number, SIGKILL, Mailbox::Shell::kSpared);
    }
    for (const auto& output : run.output) {
      if (output) output->SetEnd();
    }
  }

  // A guest that writes without end must not keep us from its time-out.
  bool HasTakenEnough(int count) {
    is_busy_ |= count >= kMostTaken;
    return count >= kMostTaken;
  }

  void MoveOutput(Run& run) {
    for (const int i : {0, 1}) {
      if (!run.output[i]) continue;
      for (int n = 0; !HasTakenEnough(n); ++n) {
        OutputStream::Taken taken = run.output[i]->Take();
        if (taken.state == OutputStream::State::kDamaged) damaged_ = true;
        if (taken.state != OutputStream::State::kMore) break;
        if (taken.bytes.empty()) continue;
        Queue({Kind::kOutput, run.request.id, {i + 1}, std::move(taken.bytes)});
        // Not more at once than a client takes in a moment.
        if (outgoing_.size() > kMostQueued && !Flush()) return;
      }
    }
  }

  void FinishIfDrained(Run& run) {
    int64_t truncated = 0;
    for (const int i : {0, 1}) {
      if (!run.output[i]) continue;
      if (!run.output[i]->reached_end()) return;
      if (run.output[i]->truncated()) truncated |= 1 << (i + 1);
    }
    const auto time = std::chrono::duration_cast<microseconds>(Clock::now() - run.started);
    Queue(
        {Kind::kEnd,
         run.request.id,
         {run.exit_code, run.signal, static_cast<int64_t>(run.end_class), truncated, time.count()},
         {}});
    run.exit_code = -1;
  }

  bool Retire(const Run& run) {
    if (!run.ended || run.exit_code != -1) return false;
    // The streams of a terminal have no owner that could be cut off.
    if ((run.request.arg[3] & kHasTerminal) != 0 && !run.in_session) SignalRun(run, SIGKILL);
    // A job's slot is taken again last: who still writes there is cut off late.
    if (run.job != 0) free_jobs_.insert(free_jobs_.begin(), run.job);
    return true;
  }

  Clock::time_point NextWake() {
    if (std::exchange(is_busy_, false)) return Clock::now();
    Clock::time_point next = Clock::time_point::max();
    for (const auto& run : running_) {
      next = std::min({next, run->deadline, run->ended ? next : run->next_interrupt});
    }
    if (session_.current != nullptr || session_.is_settling)
      next = std::min(next, session_.next_look);
    // An idle sandbox sleeps: memory is only taken by what runs.
    if (!running_.empty()) return std::min(next, sampler_.next());
    return std::min(next, Clock::now() + std::chrono::seconds(1));
  }

  const LiveOptions& options_;
  std::recursive_mutex mutex_;
  std::unique_ptr<Keeper> keeper_;
  Mailbox mailbox_;
  control::Control& page_;
  backend::ClientSignals signals_;  // a child that dies rings the bell
  OwnedFd socket_;
  UsageSampler sampler_;
  std::string outgoing_;
  std::list<std::unique_ptr<Run>> waiting_, running_;
  std::vector<uint32_t> free_jobs_;
  uint32_t last_number_ = 0;
  Session session_;
  History history_;
  bool damaged_ = false;
  bool is_busy_ = false;
};

}  // namespace

void RunLiveSandbox(const LiveOptions& options, OwnedFd socket) {
  Result<std::unique_ptr<Keeper>> keeper = Keeper::Start(options.sandbox);
  if (!keeper) {
    const Frame dead = {Kind::kDead, 0, {}, keeper.error().ToString()};
    (void)SendAll(socket.get(), Encode(dead));
    return;
  }
  // Guests outlive a keeper that is killed, unless their namespace goes with it: it ends them then.
  if (!(*keeper)->isolation().pid_namespace) (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
  LiveSandbox(options, std::move(*keeper), std::move(socket)).Serve();
}

}  // namespace cordon::live
