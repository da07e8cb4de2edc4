#ifndef CORDON_KERNEL_PROCESS_H_
#define CORDON_KERNEL_PROCESS_H_

// The kernel's data: one Kernel in the arena, one Process for each guest process. Guest parenthood,
// identifiers, groups and statuses are these; the host's process identifiers appear only in the
// control page.

#include <atomic>
#include <cstdint>

#include "arena/arena.h"
#include "arena/lock.h"
#include "arena/wait.h"
#include "kernel/control.h"
#include "kernel/processor_timer.h"
#include "kernel/processors.h"
#include "kernel/run_account.h"
#include "kernel/thread.h"
#include "vfs/filesystem.h"
#include "vfs/path_walk.h"

namespace cordon::kernel {

inline constexpr uint32_t kMaxDescriptors = 1024;
inline constexpr uint32_t kServicePid = 1;

struct Disposition {
  uint32_t handler = 0;  // SIG_DFL 0, SIG_IGN 1, else an index of the guest's table
  uint32_t flags = 0;
  uint64_t mask = 0;
};

// Since the process began; of a session's shell, since its run did.
struct UsedByProcess {
  uint64_t cpu_before_ns = 0;  // that its clock showed then
  std::atomic<uint64_t> file_read_bytes{0}, file_written_bytes{0};

  // What a call on a file returned.
  void AddRead(int64_t result) {
    if (result > 0)
      file_read_bytes.fetch_add(static_cast<uint64_t>(result), std::memory_order_relaxed);
  }
  void AddWritten(int64_t result) {
    if (result > 0)
      file_written_bytes.fetch_add(static_cast<uint64_t>(result), std::memory_order_relaxed);
  }
};

enum class ProcessState : uint32_t { kFree, kStarting, kLive, kStopped, kZombie };

// Lies in pages of its own, what every call touches first.
struct alignas(4096) Process {
  Process() { leader.process = this; }
  Thread leader;  // the first thread; its place stays when it has ended before others
  std::atomic<ProcessState> state{ProcessState::kFree};
  uint32_t slot = 0;
  uint32_t pid = 0, parent_pid = 0, group = 0, session = 0;
  // Threads that live, under Kernel::table_lock; the count may be read without it by a thread of
  // the process, and `thread_word` changes with it.
  Thread* threads = &leader;
  std::atomic<uint32_t> thread_count{1};
  std::atomic<uint32_t> thread_word{0};
  std::atomic<Thread*> survivor{nullptr};  // all others have to end
  std::atomic<bool> execs{false};          // a thread is in execve
  // Signals for any of its threads. `pending` and dispositions change under Kernel::table_lock.
  std::atomic<uint64_t> pending{0};
  uint32_t waits_for_lock_of = 0;   // a process identifier, under Kernel::table_lock
  std::atomic<bool> parked{false};  // for a live fork; written by the process itself
  bool execed = false;              // setpgid of a child is over
  int32_t job = -1;                 // index in control.jobs for a command of the client
  uint32_t run = 0;                 // of the client, inherited; 0 none
  RunAccount* account = nullptr;    // of the run; written by the process itself, or at its end
  UsedByProcess used;
  int32_t run_job = -1;  // of a session's shell: the job whose rings are its run's
  uint32_t wait_status = 0;
  bool status_changed = false;  // stopped or continued, not yet seen by wait
  bool continued = false;
  uint32_t exit_signal = 0;
  uint64_t alarm_ns = 0;  // monotonic, 0 none
  uint64_t alarm_interval_ns = 0;
  ProcessorTimer processor_timers[kProcessorTimers] = {};
  uint64_t start_ns = 0;
  uint64_t cpu_ns = 0;           // at exit
  uint64_t children_cpu_ns = 0;  // of those that were waited for
  // Under the lock of the memory map, which is private to the process.
  uint64_t committed_pages = 0;
  uint64_t thread_pages = 0;  // of them for threads that are not first ones
  uint64_t stack_pages = 0;   // of the first stack, which is not charged
  vfs::Credentials who;
  uint32_t umask = 022;
  int32_t nice = 0;
  uint8_t avoided_processors[kMaxProcessors / 8] =
      {};  // sched_setaffinity, as a mask of the others
  vfs::Node root, directory, executable;
  Terminal* terminal = nullptr;
  SignalInfo info[kSignals + 1];
  Disposition disposition[kSignals + 1];
  char command[16] = {};
  uint32_t descriptor_limit = 256;
  // RLIMIT_AS in bytes, soft and hard: of linear memory.
  uint64_t address_limit = UINT64_MAX;
  uint64_t address_limit_hard = UINT64_MAX;
  uint32_t command_line_size = 0;
  Mutex descriptor_lock;        // and of `directory`
  uint32_t descriptor_end = 0;  // beyond the highest open one
  // OpenFile pointers; bit 0 is close-on-exec.
  uintptr_t descriptors[kMaxDescriptors] = {};
  char command_line[2048] = {};
};

struct ToolPolicy;

struct Kernel {
  Arena* arena;
  control::Control* control;
  vfs::FileSystem* files;
  vfs::MountTable mounts;
  Mutex table_lock;  // the process table: tree, states, signals
  uint32_t last_pid;
  uint32_t process_count;  // without the service
  uint32_t thread_count;   // those that are not first ones; they count as processes do
  // Slots that such threads have.
  uint64_t thread_slots[control::kMaxSlots / 64];
  uint32_t slot_end;  // beyond the highest slot ever used
  std::atomic<uint64_t> committed_pages;
  std::atomic<uint64_t> committed_peak;
  uint64_t started, peak;
  std::atomic<uint64_t> open_files;  // descriptions in use
  uint64_t boot_ns;
  std::atomic<bool> parking;  // everybody has to park; under table_lock
  uint32_t generation;        // of file blocks, that is written to
  ToolPolicy* tools;          // what may be started; null: everything
  char hostname[65];
  uint32_t run_accounts;
  RunAccount* accounts[kMaxRunAccounts];
  Process* processes[control::kMaxSlots];
};

// The kernel of this sandbox and the process that this host process runs; set at boot and after
// each clone.
Kernel& TheKernel();
Process& Current();
void SetKernel(Kernel* kernel);
void SetCurrent(Process* process);
inline control::Slot& SlotOf(const Process& process) {
  return TheKernel().control->slots[process.slot];
}
inline control::Slot& SlotOf(const Thread& thread) {
  return TheKernel().control->slots[thread.slot];
}

// --- life ---
// A copy of the process with the calling thread: 0 in it, its identifier or an errno in the caller.
int32_t Fork();
[[noreturn]] void ExitCurrent(uint32_t wait_status);
// The host ended the process of a slot outside the kernel: everything it had is given back, and its
// parent is told. By the service process. 0 or -ESRCH.
int32_t BuryDead(uint32_t slot, uint32_t wait_status);
int32_t WaitFor(int32_t pid, uint32_t options, uint32_t* status, int32_t* waited, uint64_t* cpu_ns);
// Under table_lock: by identifier, null if there is none (zombies are found).
Process* FindProcess(uint32_t pid);
// Under table_lock: an identifier that no process, thread, group or session has.
uint32_t NewIdentifier();
// Under table_lock: whether one more process or thread may be.
bool HasRoomForThread();
bool IsSlotOfThread(uint32_t slot);
// The thread runs on the host: its slot says where.
void AnnounceLive(const Thread& thread, uint32_t host_pid);
Process* CreateServiceProcess();
// Verifies what must hold in the process table, and, when no guest process is left, that nothing of
// any is left: descriptions, memory, inodes. Writes the violations, a line each, to `text`, and
// returns their number. Nothing may run meanwhile.
int CheckKernel(char* text, uint64_t size);
// Counts a met limit where the keeper sees it.
void MeetLimit(control::Limit limit);

// --- signals ---
inline uint64_t SignalBit(uint32_t number) {
  return uint64_t{1} << (number - 1);
}
// Under table_lock. Discards what is ignored, wakes, kicks, continues. For any thread that does not
// block it, the first one above others; or for one.
void PostLocked(Process& target, const SignalInfo& info);
void PostToThreadLocked(Thread& target, const SignalInfo& info);
// The caller may send this signal to it.
bool MaySignal(const Process& target, uint32_t number);
// Under table_lock: makes a thread look at what it has to do.
void Alert(Thread& thread);
// Wakes whoever of the process sleeps, to look at its condition again.
void NotifyThreads(Process& process);
// Under table_lock, after a thread blocked signals or ended: those that wait for the process are
// given to others.
void Retarget(Process& process);
// To oneself: to the calling thread.
void Post(Process& target, uint32_t number);
void PostToGroup(uint32_t group, uint32_t number);
// Under no lock. Nobody outside the process's group, but in its session, could continue it.
bool IsGroupOrphaned(const Process& process);
// After `mask` or dispositions changed, under table_lock.
void UpdateAttention(Thread& thread);
// What became of the signals that interrupted a call.
struct Delivery {
  bool handled = false;  // a handler ran
  bool restarts = true;  // and all of them allow that the call is made again
};
// Ends, stops or runs handlers as pending signals say. Runs on the guest's stack. False: an
// exception is pending, return to the guest at once.
bool DeliverSignals(Delivery* delivery);
// The way to compiled code for everybody who does not come from a call: takes default actions and
// leaves the kernel, so that a signal that arrives on the way is not missed.
void LeaveTakingDefaultActions();
// A call sleeps with this mask until DeliverSignals has run.
void SetTemporaryMask(uint64_t mask);
// Or until it ends without having been interrupted.
void RestoreMask();

// In a call that was interrupted: made again if the handler allows it, otherwise EINTR. Never
// reaches a guest.
inline constexpr int32_t kRestart = -512;
// The same for calls that sleep: made again only if no handler ran, as after a stop.
inline constexpr int32_t kRestartSleep = -516;
// The monotonic deadline of such a call: `fresh`, or that of the call which this one continues.
uint64_t SleepDeadline(uint64_t fresh);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_PROCESS_H_
