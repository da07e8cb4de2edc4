// Requests of the keeper about runs: what a client asked for as one thing. A session's shell gets
// the streams of each run as /dev/cordon, because descriptors cannot be handed to a living process;
// it is told so by a line of its own standard input, on which nothing else ever comes.

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "kernel/open_file.h"
#include "kernel/process.h"
#include "kernel/service.h"

namespace cordon::kernel {
namespace {

// `.` whatever aliases and functions a session has by this name, or by that of builtin: our port of
// bash knows the word (guest/ports/bash).
constexpr char kRunLine[] =
    "\\__cordon_builtin . /dev/cordon/script "
    "</dev/cordon/stdin >/dev/cordon/stdout 2>/dev/cordon/stderr\n";

// Under table_lock.
Process* LeaderOf(uint32_t job) {
  const Kernel& kernel = TheKernel();
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* process = kernel.processes[i];
    if (process == nullptr || process->job != static_cast<int32_t>(job)) continue;
    const ProcessState state = process->state.load();
    if (state != ProcessState::kFree && state != ProcessState::kZombie) return process;
  }
  return nullptr;
}

int32_t BeginRun(const control::Mailbox& mailbox, uint32_t payload_bytes) {
  const uint32_t session = mailbox.arg[0].load();
  const uint32_t job = mailbox.arg[1].load();
  const uint32_t run = mailbox.arg[2].load();
  if (session >= control::kMaxJobs || job >= control::kMaxJobs || session == job || run == 0)
    return -EINVAL;
  ResetStreams(job);
  const int32_t fed = FeedStream(job, control::kScriptRing, mailbox.payload, payload_bytes);
  if (fed != 0) return fed;
  control::Ring* rings = TheKernel().control->rings + uint64_t{job} * control::kRingsPerJob;
  rings[control::kScriptRing].writer_closed.store(1);
  if (mailbox.arg[3].load() != 0) rings[0].writer_closed.store(1);
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    Process* shell = LeaderOf(session);
    if (shell == nullptr) return -ESRCH;
    shell->run = run;
    shell->run_job = static_cast<int32_t>(job);
  }
  return FeedStream(session, 0, kRunLine, sizeof kRunLine - 1);
}

// Bits of kSignalRun's third argument.
constexpr uint32_t kSparesShell = 1;
constexpr uint32_t kForced = 2;
constexpr uint32_t kOnlyShell = 4;

int32_t SignalRun(uint32_t run, uint32_t number, uint32_t how) {
  const Kernel& kernel = TheKernel();
  if (run == 0 || number == 0 || number > kSignals) return -EINVAL;
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  int32_t count = 0;
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* process = kernel.processes[i];
    if (process == nullptr || process->run != run) continue;
    const ProcessState state = process->state.load();
    if (state == ProcessState::kFree || state == ProcessState::kZombie) continue;
    const bool is_shell = process->run_job >= 0;
    if ((how & (is_shell ? kSparesShell : kOnlyShell)) != 0) continue;
    if ((how & kForced) != 0) {
      // It ends as if it had never heard of the signal, and its parent is told of this one.
      process->disposition[number] = {};
      for (Thread* thread = process->threads; thread != nullptr; thread = thread->next) {
        thread->mask &= ~SignalBit(number);
        UpdateAttention(*thread);
      }
    }
    PostLocked(*process, {static_cast<int32_t>(number), SI_USER, 0, 0, 0});
    ++count;
  }
  return count;
}

int32_t ReportRun(control::Mailbox& mailbox) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  const control::RunUsage usage = MeasureRun(mailbox.arg[0].load());
  memcpy(mailbox.payload, &usage, sizeof usage);
  mailbox.payload_bytes.store(sizeof usage);
  return 0;
}

}  // namespace

int32_t AnswerAboutRuns(control::Mailbox& mailbox, uint32_t payload_bytes) {
  switch (static_cast<control::Request>(mailbox.request.load())) {
    case control::Request::kBeginRun:
      return BeginRun(mailbox, payload_bytes);
    case control::Request::kFeed: {
      const uint32_t job = mailbox.arg[0].load();
      return job >= control::kMaxJobs ? -EINVAL
                                      : FeedStream(job, 0, mailbox.payload, payload_bytes);
    }
    case control::Request::kSignalRun:
      return SignalRun(mailbox.arg[0].load(), mailbox.arg[1].load(), mailbox.arg[2].load());
    case control::Request::kRunUsage:
      return ReportRun(mailbox);
    default:
      return -ENOSYS;
  }
}

}  // namespace cordon::kernel
