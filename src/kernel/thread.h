#ifndef CORDON_KERNEL_THREAD_H_
#define CORDON_KERNEL_THREAD_H_

// Threads of a guest process: host threads over the same linear memory. What others must see of one
// is its Thread, in the arena; what only it needs is its ThreadData, in its block of private
// memory.
//
//   CreateThread -> (new host thread) its own instance, its own stacks -> EndThread
//
// A process ends, and executes, with one thread: EndOtherThreads makes the others leave the kernel
// first, by their way out, so that none is killed while it holds a lock or waits in a queue.

#include <atomic>
#include <cstdint>

#include "arena/wait.h"
#include "vfs/filesystem.h"
#include "wasm/instance.h"

namespace cordon::control {
struct Slot;
}

namespace cordon::kernel {

struct OpenFile;
struct Process;
struct Rights;
struct Terminal;

inline constexpr uint32_t kSignals = 64;
inline constexpr uint32_t kPollWaiters = 64;

struct SignalInfo {
  int32_t number, code, pid, uid, status;
};

struct Thread {
  Sleeper sleeper;
  Process* process = nullptr;
  Thread* next = nullptr;  // of the process, under Kernel::table_lock
  uint32_t tid = 0;
  uint32_t slot = 0;
  // Signals for this thread alone. These and the masks change under Kernel::table_lock.
  std::atomic<uint64_t> pending{0};
  uint64_t mask = 0;
  uint64_t saved_mask = 0;  // to be restored after sigsuspend, ppoll and pselect
  uint64_t awaited = 0;     // signals that sigtimedwait takes although they are blocked
  bool has_saved_mask = false;
  uint32_t clear_tid = 0;  // a word of the guest that becomes 0 at the end, and is woken
  // The futex that it waits for; under the lock of futex.cc, which is private to the process.
  Thread* next_waiting = nullptr;
  uint32_t futex = 0;
  std::atomic<bool> waits_for_futex{false};
  Waiter waiters[kPollWaiters];
  SignalInfo info[kSignals + 1];
};

// What a call uses although another thread may close it meanwhile.
struct HeldObject {
  enum Kind : uint32_t { kFile, kNode, kTerminal };
  void* object;
  uint64_t id;  // of a node
  Kind kind;
};

// Private to a thread. A fork copies it with everything else.
struct ThreadData {
  static constexpr uint32_t kMaxHeld = 1024 + 128;
  Thread* thread = nullptr;
  wasm::Context* context = nullptr;  // null before the first program
  uint32_t block = 0;
  uint64_t charged_pages = 0;  // for its instance and stacks; nothing for a first thread
  bool ending = false;         // a kick that arrives late finds nothing to do
  // What the last call ended with; when it slept, until when; whether the next one is the same call
  // made again.
  bool continues_sleep = false;
  int64_t last_result = 0;
  uint64_t sleep_deadline = 0;
  SignalInfo handled = {};  // the signal whose handler runs, number 0 outside
  wasm::TrapReport last_trap;
  // What CreateThread hands to the new thread.
  uint32_t start[4] = {};
  // Rights that are given up while others are (socket_rights.cc).
  Rights* given_up = nullptr;
  bool is_giving_up = false;
  uint32_t held_count = 0;
  HeldObject held[kMaxHeld];
};

ThreadData& OwnData();
inline Thread& CurrentThread() {
  return *OwnData().thread;
}
// The control page's slot of the running thread.
control::Slot& OwnSlot();
// The process has other threads than the calling one.
bool HasOtherThreads();

// At boot: address space for all threads, the first one's stacks. False: a mapping failed.
[[nodiscard]] bool ReserveThreads();
// For the first thread of a process, which runs in the block of the thread that cloned it: nobody
// else is there any more.
void ForgetOtherThreads();

struct ThreadStart {
  uint32_t function, stack, argument, thread_pointer;
  uint32_t store_tid;  // address where the identifier is stored before the thread begins, 0 none
  uint32_t clear_tid;
};
// The identifier, or -EAGAIN (a limit), -ENOSYS (the program has no entry for threads), -EFAULT.
int32_t CreateThread(const ThreadStart& start);
// Ends the calling thread; the process, with status 0, if it is the last one.
[[noreturn]] void EndThread();
// Waits until the caller is alone in its process. False: another thread does that, and the caller
// has to end.
[[nodiscard]] bool EndOtherThreads();
// Afterwards, for a program that goes on: the caller takes the place of the first thread.
void BecomeLeader();
// Under table_lock, of a process that has ended: what its threads had.
void FreeThreads(Process& process);
// Under table_lock.
Thread* FindThread(uint32_t tid);

// --- what a call holds ---
void HoldFile(OpenFile* file);  // takes over the reference
void HoldTerminal(Terminal* terminal);
// The directory of the process, which another thread may change.
vfs::Node WorkingDirectory();
bool CanHold();
// At the end of each call.
void ReleaseHeld();

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_THREAD_H_
