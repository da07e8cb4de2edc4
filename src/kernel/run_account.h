#ifndef CORDON_KERNEL_RUN_ACCOUNT_H_
#define CORDON_KERNEL_RUN_ACCOUNT_H_

// What a run of the client used: all processes that bear its number. Who ends adds what it used; a
// session's shell, which lives longer, adds what is more than when the run began. The sum is put
// into the control page when the run's first process ends or the shell writes its prompt, so that
// the keeper need not ask.

#include <atomic>
#include <cstdint>

#include "kernel/control.h"

namespace cordon::kernel {

struct Process;

struct RunAccount {
  uint32_t run = 0;      // whose it is, until another one needs it
  uint32_t holders = 0;  // processes, under Kernel::table_lock
  uint64_t processes = 0;
  std::atomic<uint64_t> pages{0}, peak_pages{0};
  // Of those that have ended, under Kernel::table_lock.
  uint64_t cpu_ns = 0, file_read_bytes = 0, file_written_bytes = 0;

  void Charge(uint64_t count);
  void Return(uint64_t count) { pages.fetch_sub(count, std::memory_order_relaxed); }
};

// Each run that is held has a process or a place among the jobs; the others are of runs that ended
// last.
inline constexpr uint32_t kMaxRunAccounts = control::kMaxSlots + 2 * control::kMaxJobs;

// --- all of them under Kernel::table_lock ---
// Of a run, a new one if it has none. Null: no memory, and nobody counts.
RunAccount* AccountOf(uint32_t run);
// A process that begins in the account of whoever made it.
void HoldAccount(Process& process, RunAccount* account);
// It ends, having used so much processor time.
void LeaveAccount(Process& process, uint64_t cpu_ns);
// Puts the sum where the keeper finds it: of a process that a job waits for, or of the session's
// shell.
void PublishRun(const Process& process);
// Of all, with those that go on.
control::RunUsage MeasureRun(uint32_t run);

// The calling process, a session's shell, begins the run that it was given; without the lock.
void BeginOwnRun();

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_RUN_ACCOUNT_H_
