#ifndef CORDON_KERNEL_PROCESSOR_TIMER_H_
#define CORDON_KERNEL_PROCESSOR_TIMER_H_

// ITIMER_VIRTUAL and ITIMER_PROF: timers of the processor time that a process has used.

#include <cstdint>

namespace cordon::kernel {

struct Process;

enum class ProcessorTimerKind : uint32_t { kVirtual, kProfile };
inline constexpr uint32_t kProcessorTimers = 2;

// On the clock of its process.
struct ProcessorTimer {
  uint64_t due_ns = 0;  // 0: not set
  uint64_t interval_ns = 0;
  uint64_t seen_ns = 0;  // what the clock was when it was last looked at
};

// On the clock of a process that is not the caller; 0 when it is not known yet, or gone.
[[nodiscard]] uint64_t ProcessorTimeOf(const Process& process);
// What is left; 0 if the timer is not set. Under Kernel::table_lock, as all of these.
[[nodiscard]] uint64_t TimeLeft(const Process& process, ProcessorTimerKind kind);
// Of the calling process. A value of 0 ends the timer.
void SetProcessorTimer(Process& process, ProcessorTimerKind kind, uint64_t value_ns,
                       uint64_t interval_ns);
// Sends the signals that are due; when to look again, on the monotonic clock.
uint64_t SendProcessorAlarms(Process& process, uint64_t now_ns);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_PROCESSOR_TIMER_H_
