// How runs begin, and how they are brought to an end.

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "backend/end.h"
#include "live/served_sandbox.h"

namespace cordon::live {
namespace {

using backend::Mailbox;
using control::kSessionJob;
using std::chrono::milliseconds;

// Between two attempts to interrupt a shell: the first lets programs see SIGINT, as a terminal
// would, the others end what is left.
constexpr milliseconds kInterruptPeriod{15};
// A shell that ignores interrupts so often is ended itself.
constexpr int kMostInterrupts = 40;

// Slots that must be free: one is left for the session, whatever runs beside it.
size_t JobsFor(Kind kind) {
  if (kind == Kind::kSpawn) return 2;
  return kind == Kind::kRun ? 1 : 0;
}

}  // namespace

bool ServedSandbox::StartShell() {
  session_ = {};
  backend::JobStart start;
  start.job = kSessionJob;
  start.directory = options_.directory;
  // What ran before may have removed it.
  start.otherwise = backend::JobStart::Otherwise::kRoot;
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

uint32_t ServedSandbox::NextNumber() {
  if (++last_number_ == 0) ++last_number_;
  return last_number_;
}

void ServedSandbox::StartRuns() {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    Run& run = **it;
    const Kind kind = run.request.kind;
    if (kind == Kind::kTakeTurn && run.request.arg[0] != 0 && IsCommandRunning()) {
      Answer(run.request.id, -EBUSY, "a command runs in the session");
      it = waiting_.erase(it);
      continue;
    }
    if (kind == Kind::kRun) SeedIfWanted();
    if (free_jobs_.size() < JobsFor(kind) || (run.in_session && !IsShellReady(run))) {
      ++it;
      continue;
    }
    if (kind == Kind::kSnapshot || kind == Kind::kTakeTurn) {
      const std::unique_ptr<Run> taken = std::move(*it);
      it = waiting_.erase(it);
      if (kind == Kind::kSnapshot) {
        TakeSnapshot(taken->request);
      } else {
        turn_ = taken->request.id;
        Answer(*turn_, 0, {});
      }
      continue;
    }
    running_.push_back(std::move(*it));
    it = waiting_.erase(it);
    Start(*running_.back());
  }
}

bool ServedSandbox::IsCommandRunning() const {
  return session_.current != nullptr && (session_.current->request.arg[3] & kUnrecorded) == 0;
}

bool ServedSandbox::IsShellReady(const Run& run) {
  if (session_.current != nullptr || session_.is_settling || session_.is_replaced) return false;
  if (turn_ && (run.request.arg[3] & kInTurn) == 0) return false;
  if ((run.request.arg[3] & kInNewShell) == 0 || !session_.alive) return true;
  // Not asked to exit: it could understand something else by that.
  const auto killed = mailbox_.SignalRun(session_.number, SIGKILL, Mailbox::Shell::kAlone);
  session_.is_replaced = killed && *killed > 0;
  return !session_.is_replaced;
}

void ServedSandbox::Start(Run& run) {
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

Status ServedSandbox::BeginInSession(Run& run) {
  if (!std::exchange(run.is_recorded, true) && (run.request.arg[3] & kUnrecorded) == 0) {
    CORDON_TRY(history_.Add(mailbox_, run.request.payload));
  }
  const auto begin = [&] {
    session_.current = &run;
    session_.number = run.number;
    WatchForPrompt();
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

Status ServedSandbox::SpawnProcess(Run& run) {
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

void ServedSandbox::Refuse(Run& run, const std::string& reason) {
  Queue({Kind::kOutput, run.request.id, {2}, "cordon: " + reason + "\n"});
  Queue({Kind::kEnd, run.request.id, {125, 0, 0, 0, 0}, {}});
  run.ended = true;
  run.exit_code = -1;
  if (session_.current == &run) session_.current = nullptr;
}

void ServedSandbox::FeedInput(Run& run) {
  if (run.input == nullptr) return;
  for (std::string& bytes : run.early_input) run.input->Add(std::move(bytes));
  run.early_input.clear();
  if ((run.request.arg[3] & kHasInput) == 0) run.input->Close();
  const InputStream::Moved moved = run.input->Move();
  if (moved.state == InputStream::State::kDamaged) damaged_ = true;
  if (moved.taken > 0) Queue({Kind::kTaken, run.request.id, {moved.taken}, {}});
  if (moved.broken) Queue({Kind::kTaken, run.request.id, {-EPIPE}, {}});
}

void ServedSandbox::SignalRun(const Run& run, int number) {
  (void)mailbox_.SignalRun(run.number, number, Mailbox::Shell::kToo);
}

void ServedSandbox::Interrupt(Run& run, EndClass end_class) {
  if (run.end_class != EndClass::kNone || run.ended) return;
  run.end_class = end_class;
  if (run.number == 0) {
    // It has not begun.
    if (JobsFor(run.request.kind) == 0) {
      Answer(run.request.id, -ECANCELED, "given up before its turn came");
    } else {
      Queue({Kind::kEnd,
             run.request.id,
             {backend::kTimedOut, 0, static_cast<int64_t>(end_class), 0, 0},
             {}});
    }
    std::erase_if(waiting_, [&](const auto& waiting) { return waiting.get() == &run; });
    return;
  }
  run.next_interrupt = Clock::now();
  ContinueInterrupt(run);
}

void ServedSandbox::ContinueInterrupt(Run& run) {
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

}  // namespace cordon::live
