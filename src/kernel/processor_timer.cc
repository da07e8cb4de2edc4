#include "kernel/processor_timer.h"

#include <algorithm>
#include <csignal>

#include "arena/platform.h"
#include "kernel/process.h"

namespace cordon::kernel {
namespace {

constexpr uint64_t kLeastWaitNs = 4'000'000;  // a tick of Linux
constexpr int kSignalOf[kProcessorTimers] = {SIGVTALRM, SIGPROF};

// A copy of a process that was stored or forked has a clock that begins anew.
void Rebase(ProcessorTimer& timer, uint64_t clock_ns) {
  if (clock_ns < timer.seen_ns) timer.due_ns = clock_ns + (timer.due_ns - timer.seen_ns);
  timer.seen_ns = clock_ns;
}

}  // namespace

uint64_t ProcessorTimeOf(const Process& process) {
  constexpr uint32_t kScheduled = 2;  // clock_getcpuclockid(3)
  const uint32_t host_pid = SlotOf(process).host_pid.load();
  return host_pid == 0 ? 0 : platform::ClockNs(static_cast<int>(~host_pid << 3 | kScheduled));
}

uint64_t TimeLeft(const Process& process, ProcessorTimerKind kind) {
  ProcessorTimer timer = process.processor_timers[static_cast<uint32_t>(kind)];
  if (timer.due_ns == 0) return 0;
  Rebase(timer, platform::ClockNs(2));
  constexpr uint64_t kAtOnce = 1000;
  return timer.due_ns > timer.seen_ns ? timer.due_ns - timer.seen_ns : kAtOnce;
}

void SetProcessorTimer(Process& process, ProcessorTimerKind kind, uint64_t value_ns,
                       uint64_t interval_ns) {
  const uint64_t clock_ns = platform::ClockNs(2);
  process.processor_timers[static_cast<uint32_t>(kind)] = {value_ns == 0 ? 0 : clock_ns + value_ns,
                                                           interval_ns, clock_ns};
}

uint64_t SendProcessorAlarms(Process& process, uint64_t now_ns) {
  uint64_t next = platform::kNever;
  for (uint32_t kind = 0; kind < kProcessorTimers; ++kind) {
    ProcessorTimer& timer = process.processor_timers[kind];
    if (timer.due_ns == 0) continue;
    const uint64_t clock_ns = ProcessorTimeOf(process);
    if (clock_ns != 0) Rebase(timer, clock_ns);
    if (timer.due_ns <= clock_ns) {
      timer.due_ns = timer.interval_ns == 0 ? 0 : clock_ns + timer.interval_ns;
      PostLocked(process, {kSignalOf[kind], SI_KERNEL, 0, 0, 0});
      if (timer.due_ns == 0) continue;
    }
    // No earlier than if all of its threads were running all the time.
    const uint64_t left =
        (timer.due_ns - timer.seen_ns) / std::max(1u, process.thread_count.load());
    next = std::min(next, now_ns + std::max(left, kLeastWaitNs));
  }
  return next;
}

}  // namespace cordon::kernel
