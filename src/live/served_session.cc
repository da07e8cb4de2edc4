// What happens in the sandbox: the session's shell, output, ends of runs.

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "backend/end.h"
#include "live/served_sandbox.h"
#include "packages/installed.h"

namespace cordon::live {
namespace {

using backend::Mailbox;
using backend::UsageSampler;
using control::kSessionJob;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr size_t kMostQueued = 512 * 1024;
// Pieces of a stream that are moved before something else is looked at.
constexpr int kMostTaken = 16;
// New shells for one command that none of them began.
constexpr int kMostShells = 3;
constexpr milliseconds kLongestLookPeriod{1000};
// Whoever was killed is gone as soon as it gets a processor.
constexpr milliseconds kDyingPeriod{2};
constexpr milliseconds kDyingPatience{2000};

}  // namespace

bool ServedSandbox::Progress() {
  if (is_suspended()) return true;
  if (const Status alive = keeper_->Reap(); !alive) return Die(alive.error().ToString());
  WatchShell();
  TakePolicyEvents();
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
  if (options_.sandbox.serves_requests) ServeChannels();
  const size_t before = running_.size();
  std::erase_if(running_, [this](const auto& run) { return Retire(*run); });
  if (running_.size() != before || !waiting_.empty()) StartRuns();
  for (const Frame& event : watches_.Look()) Queue(event);
  if (!host_calls_.Progress()) damaged_ = true;
  is_busy_ |= host_calls_.is_busy();
  if (damaged_) return Die("sandbox ended: its control page is damaged");
  if (sampler_.Sample(Clock::now()) == UsageSampler::Verdict::kMemory) {
    Queue({Kind::kPolicy,
           0,
           {static_cast<int64_t>(PolicyEvent::kLimitMet), 0, control::kLimitMemory},
           {}});
    return Die("sandbox ended: more memory than its limit was taken");
  }
  TellUse(Asked::kNo);
  return true;
}

void ServedSandbox::TellUse(Asked asked) {
  if (!sampler_.use()) return;
  SandboxUse use = {sampler_.use()->memory_bytes, keeper_->files().sealed_bytes,
                    sampler_.use()->processes};
  for (const auto& [name, snapshot] : snapshots_) use.memory_bytes += snapshot.memory_bytes;
  if (asked == Asked::kNo && use == told_use_) return;
  told_use_ = use;
  Frame frame = {Kind::kUse, 0, {asked == Asked::kYes ? 1 : 0}, {}};
  frame.payload.assign(reinterpret_cast<const char*>(&use), sizeof use);
  Queue(frame);
}

void ServedSandbox::ServeChannels() {
  GuestChannels::News news;
  if (!channels_.Progress(&news)) damaged_ = true;
  TellGone(news.gone);
  // The command is a script, which is no program: what it wants is decided here.
  const bool may_ask = options_.AllowsTool(packages::kTool);
  for (GuestChannels::Request& request : news.requests) {
    if (!may_ask) {
      RefuseRequest(request);
      continue;
    }
    Queue({Kind::kGuestRequest, 0, {request.channel, request.number}, std::move(request.words)});
  }
}

void ServedSandbox::TellGone(const std::vector<GuestChannels::Gone>& gone) {
  for (const auto& [channel, number] : gone) Queue({Kind::kGuestGone, 0, {channel, number}, {}});
}

bool ServedSandbox::Die(const std::string& reason) {
  Queue({Kind::kDead, 0, {}, reason.substr(0, 4096)});
  return false;
}

void ServedSandbox::WatchShell() {
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
      } else if (!ended.is_repair && CouldNotBegin(ended.status)) {
        ReplaceShell();
      } else {
        EndInSession(ended.status, 0);
      }
    }
  }
  if (session_.seed_by && Clock::now() >= *session_.seed_by) SeedIfWanted();
  const control::Job& job = page_.jobs[kSessionJob];
  if (job.state.load() == control::Job::kExited) {
    const auto status = static_cast<int>(job.wait_status.load());
    session_.alive = session_.is_settling = session_.is_replaced = false;
    if (RestartUnread()) return;
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    EndInSession(signal != 0 ? 128 + signal : WEXITSTATUS(status), signal);
    return;
  }
  RepairPrompt();
}

void ServedSandbox::RepairPrompt() {
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

void ServedSandbox::WatchForPrompt() {
  session_.looks = false;
  session_.look_period = kPromptPatience;
  session_.next_look = Clock::now() + kPromptPatience;
}

bool ServedSandbox::IsUnread(const Run& run) const {
  const uint32_t script = run.job * control::kRingsPerJob + control::kScriptRing;
  return page_.rings[script].read.load() == 0;
}

bool ServedSandbox::CouldNotBegin(int status) const {
  const Run* run = session_.current;
  // An interrupt in between has another status.
  return run != nullptr && status == 1 && run->end_class == EndClass::kNone && IsUnread(*run);
}

void ServedSandbox::ReplaceShell() {
  Refuse(*session_.current,
         "the session's shell cannot open the command any more (ulimit -n, set -r); the next "
         "command has a new shell");
  const auto killed = mailbox_.SignalRun(session_.number, SIGKILL, Mailbox::Shell::kAlone);
  session_.is_replaced = killed && *killed > 0;
}

bool ServedSandbox::RestartUnread() {
  Run* run = session_.current;
  if (run == nullptr || !IsUnread(*run) || ++run->shells > kMostShells) return false;
  if (!StartShell()) return false;
  return BeginInSession(*run).has_value();
}

void ServedSandbox::EndInSession(int status, int signal) {
  Run* run = std::exchange(session_.current, nullptr);
  if (run == nullptr) return;
  End(*run, status, signal);
  if (run->end_class == EndClass::kNone || !session_.alive) return;
  // An interrupt may still be on its way. Whatever follows this line has it behind itself.
  session_.is_settling = true;
  WatchForPrompt();
  (void)mailbox_.Feed(kSessionJob, PromptRepair());
}

void ServedSandbox::WatchProcess(Run& run) {
  const control::Job& job = page_.jobs[run.job];
  if (job.state.load() != control::Job::kExited) return;
  const auto status = static_cast<int>(job.wait_status.load());
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  End(run, signal != 0 ? 128 + signal : WEXITSTATUS(status), signal);
}

void ServedSandbox::End(Run& run, int exit_code, int signal) {
  run.ended = true;
  run.exit_code = exit_code;
  run.signal = signal;
  run.next_interrupt = Clock::time_point::max();
  if (run.end_class != EndClass::kNone) {
    run.exit_code = backend::kTimedOut;
    run.patience = Clock::now() + kDyingPatience;
    (void)mailbox_.SignalRun(run.number, SIGKILL, Mailbox::Shell::kSpared);
  }
  for (const auto& output : run.output) {
    if (output) output->SetEnd();
  }
}

bool ServedSandbox::IsAnybodyLeft(Run& run) {
  const auto now = Clock::now();
  if (run.interrupts == 0 || now >= run.patience) return false;
  const bool has_looked = run.next_interrupt != Clock::time_point::max();
  if (has_looked && now < run.next_interrupt) return true;
  const auto left = mailbox_.SignalRun(run.number, SIGKILL, Mailbox::Shell::kSpared);
  run.next_interrupt = now + kDyingPeriod;
  return left && *left > 0;
}

bool ServedSandbox::HasTakenEnough(int count) {
  is_busy_ |= count >= kMostTaken;
  return count >= kMostTaken;
}

void ServedSandbox::MoveOutput(Run& run) {
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

void ServedSandbox::FinishIfDrained(Run& run) {
  int64_t truncated = 0;
  for (const int i : {0, 1}) {
    if (!run.output[i]) continue;
    if (!run.output[i]->reached_end()) return;
    if (run.output[i]->truncated()) truncated |= 1 << (i + 1);
  }
  if (IsAnybodyLeft(run)) return;
  // They were written before it ended.
  TakePolicyEvents();
  if (run.end_class == EndClass::kNone && truncated == 0) {
    if (run.was_denied) {
      run.end_class = EndClass::kDenied;
    } else if (run.limits_met != 0 && run.exit_code != 0) {
      run.end_class = EndClass::kLimit;
    }
  }
  const auto time = std::chrono::duration_cast<microseconds>(Clock::now() - run.started);
  Frame end = {
      Kind::kEnd,
      run.request.id,
      {run.exit_code, run.signal, static_cast<int64_t>(run.end_class), truncated, time.count()},
      {}};
  const RunFigures figures = Measure(run);
  end.payload.assign(reinterpret_cast<const char*>(&figures), sizeof figures);
  Queue(end);
  run.exit_code = -1;
}

RunFigures ServedSandbox::Measure(const Run& run) {
  RunFigures figures = {page_.jobs[run.job].usage.Take(), {}};
  // Usually the sum is there already. What goes on has to be asked for.
  if (figures.used.run != run.number || figures.used.left > 0) {
    if (const auto asked = mailbox_.MeasureRun(run.number)) figures.used = *asked;
  }
  for (const int i : {0, 1}) {
    if (run.output[i]) figures.output_bytes[i] = run.output[i]->bytes();
  }
  return figures;
}

bool ServedSandbox::Retire(const Run& run) {
  if (!run.ended || run.exit_code != -1) return false;
  // The streams of a terminal have no owner that could be cut off.
  if ((run.request.arg[3] & kHasTerminal) != 0 && !run.in_session) SignalRun(run, SIGKILL);
  // A job's slot is taken again last: who still writes there is cut off late.
  if (run.job != 0) free_jobs_.insert(free_jobs_.begin(), run.job);
  return true;
}

Clock::time_point ServedSandbox::NextWake() {
  if (is_suspended()) return Clock::time_point::max();
  if (std::exchange(is_busy_, false)) return Clock::now();
  Clock::time_point next = Clock::time_point::max();
  for (const auto& run : running_) {
    next = std::min(next, run->next_interrupt);
    // Who is over, or was told so, has no time any more.
    if (!run->ended && run->end_class == EndClass::kNone) next = std::min(next, run->deadline);
  }
  if (session_.current != nullptr || session_.is_settling) {
    next = std::min(next, session_.next_look);
  } else if (session_.seed_by) {
    next = std::min(next, *session_.seed_by);
  }
  next = std::min(next, watches_.next());
  // An idle sandbox sleeps: memory is only taken by what runs.
  if (!running_.empty() || sampler_.is_changing()) return std::min(next, sampler_.next());
  return std::min(next, Clock::now() + std::chrono::seconds(1));
}

}  // namespace cordon::live
