// Threads come and go.

#include "kernel/thread.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "arena/layout.h"
#include "arena/platform.h"
#include "kernel/entry.h"
#include "kernel/futex.h"
#include "kernel/guest_memory.h"
#include "kernel/memory_map.h"
#include "kernel/process.h"

namespace cordon::kernel {
namespace {

constexpr uint32_t kMaxThreads = layout::kMaxProcessThreads;

// Private memory of the process. A block is taken until the host thread that ran in it needs none
// of its stacks any more.
std::atomic<uint32_t> taken_blocks[kMaxThreads];
bool has_stacks[kMaxThreads];  // under create_lock
bool has_made_threads = false;
Mutex create_lock;

uint64_t BlockAt(uint32_t index) {
  return layout::kThreadBlocks + index * layout::kThreadBlockBytes;
}
std::byte* DataAt(uint32_t index) {
  return reinterpret_cast<std::byte*>(BlockAt(index) + layout::kThreadDataOffset);
}
ThreadData& DataOf(uint32_t index) {
  return *reinterpret_cast<ThreadData*>(DataAt(index) + kKernelThreadDataOffset);
}

bool MakeStacks(uint32_t index) {
  if (has_stacks[index]) return true;
  struct Piece {
    uint64_t offset, bytes;
  };
  constexpr Piece kPieces[] = {{layout::kBaseStackOffset, layout::kPrivatePartBytes},
                               {layout::kKernelStackOffset, layout::kKernelStackBytes},
                               {layout::kGuestStackOffset, layout::kGuestStackBytes}};
  for (const Piece& piece : kPieces) {
    if (!platform::Protect(BlockAt(index) + piece.offset, piece.bytes,
                           platform::Access::kReadWrite))
      return false;
  }
  has_stacks[index] = true;
  return true;
}

// The index of a block, or kMaxThreads.
uint32_t TakeBlock() {
  for (uint32_t i = 0; i < kMaxThreads; ++i) {
    uint32_t expected = 0;
    if (taken_blocks[i].load(std::memory_order_relaxed) == 0 &&
        taken_blocks[i].compare_exchange_strong(expected, 1, std::memory_order_acquire))
      return i;
  }
  return kMaxThreads;
}

void FreeBlock(uint32_t index) {
  taken_blocks[index].store(0, std::memory_order_release);
}

uint64_t InstanceBytes(const wasm::Context& context) {
  constexpr uint64_t kPage = layout::kPageBytes;
  return (wasm::StorageBytes(*context.view) + kPage - 1) / kPage * kPage;
}
uint64_t InstanceAt(uint32_t index, uint64_t bytes) {
  return layout::kThreadInstances + index * bytes;
}

// What a thread costs its sandbox besides linear memory: its instance, and stacks as deep as most
// are.
uint64_t PagesOf(const wasm::Context& context) {
  constexpr uint64_t kStackPages = 8;
  return InstanceBytes(context) / layout::kPageBytes + kStackPages;
}

// Under create_lock: globals and tables of the thread, as of a new instance. It shares linear
// memory, which is initialised.
wasm::Context* MakeThreadInstance(uint32_t block, const uint32_t* poll_word) {
  const wasm::Context& creator = *OwnData().context;
  const uint64_t bytes = InstanceBytes(creator);
  if (bytes * kMaxThreads > layout::kThreadInstancesReserve) return nullptr;
  const uint64_t at = InstanceAt(block, bytes);
  if (!platform::MapPrivate(at, bytes, platform::Access::kReadWrite)) return nullptr;
  const std::span<std::byte> storage(reinterpret_cast<std::byte*>(at), bytes);
  return InstantiateForThread(creator, storage, poll_word);
}

// Null if the program has none. A function of another type would take or leave more than the slots
// that it is called with.
const wasm::FuncRef* ThreadEntry(const wasm::Context& context) {
  const wasm::FuncRef* entry = wasm::FindExportedFunction(&context, "__cordon_thread");
  if (entry == nullptr) return nullptr;
  const wasm::ObjectView& view = *context.view;
  const uint32_t type = view.functions[entry->function_index].type;
  const bool fits =
      view.Params(type).size() == 4 && view.Results(type).empty() &&
      std::ranges::all_of(view.Params(type), [](auto one) { return one == wasm::ValType::kI32; });
  return fits ? entry : nullptr;
}

// The first frame of a thread, on its base stack.
[[noreturn]] void RunThread() {
  ThreadData& data = OwnData();
  Thread& thread = *data.thread;
  SetCurrentSlot(thread.slot);
  platform::UseSignalStack(BlockAt(data.block) + layout::kSignalStackOffset,
                           layout::kSignalStackBytes);
  AnnounceLive(thread, SlotOf(*thread.process).host_pid.load());
  LeaveTakingDefaultActions();
  uint64_t slots[4];
  for (int i = 0; i < 4; ++i) slots[i] = data.start[i];
  const wasm::TrapCode code =
      wasm::Enter(data.context, *ThreadEntry(*data.context), slots, GuestStack());
  OwnSlot().inside.store(1);
  if (code == wasm::TrapCode::kNone) EndThread();
  EndByTrap(code);
}

// Under table_lock: a slot that neither a process nor a thread has, from the end, where it does not
// lengthen walks over processes; kMaxSlots if there is none.
uint32_t TakeThreadSlot() {
  Kernel& kernel = TheKernel();
  for (uint32_t i = control::kMaxSlots; i-- > 0;) {
    const Process* process = kernel.processes[i];
    if (IsSlotOfThread(i) || (process != nullptr && process->state.load() != ProcessState::kFree))
      continue;
    kernel.thread_slots[i / 64] |= uint64_t{1} << i % 64;
    return i;
  }
  return control::kMaxSlots;
}

// Under table_lock. Whoever runs there touches neither the Thread nor its slot any more.
void FreeThread(Thread& thread) {
  Kernel& kernel = TheKernel();
  control::Slot& slot = SlotOf(thread);
  slot.state.store(control::Slot::kFree);
  slot.is_thread.store(0);
  kernel.thread_slots[thread.slot / 64] &= ~(uint64_t{1} << thread.slot % 64);
  --kernel.thread_count;
  kernel.arena->Delete(&thread);
}

// Under table_lock.
void Unlink(Process& process, Thread& thread) {
  Thread** link = &process.threads;
  while (*link != &thread) link = &(*link)->next;
  *link = thread.next;
  thread.next = nullptr;
}

// Announces a thread that does not run yet. Under no lock. 0, or -EAGAIN.
int32_t Enlist(const ThreadStart& start, Thread** out) {
  Kernel& kernel = TheKernel();
  Process& process = Current();
  const Thread& creator = CurrentThread();
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  // Who ends all threads has seen those that there are.
  if (process.survivor.load() != nullptr || !HasRoomForThread()) return -EAGAIN;
  auto* thread = kernel.arena->New<Thread>();
  const uint32_t slot = thread == nullptr ? control::kMaxSlots : TakeThreadSlot();
  if (slot == control::kMaxSlots) {
    if (thread != nullptr) kernel.arena->Delete(thread);
    MeetLimit(control::kLimitProcesses);
    return -EAGAIN;
  }
  thread->process = &process;
  thread->tid = NewIdentifier();
  thread->slot = slot;
  thread->mask = creator.mask;
  thread->clear_tid = start.clear_tid;
  thread->next = process.threads;
  process.threads = thread;
  control::Slot& page = SlotOf(*thread);
  page.is_thread.store(1);
  page.inside.store(1);
  page.kick.store(0);
  page.host_pid.store(0);
  page.host_tid.store(0);
  page.state.store(control::Slot::kStarting);
  ++kernel.thread_count;
  process.thread_count.fetch_add(1);
  *out = thread;
  return 0;
}

// Takes back what Enlist did, and everybody who waits for the number of threads looks again. False:
// it is the last one, and stays.
bool Delist(Process& process, Thread& thread) {
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  if (process.thread_count.load() == 1) return false;
  Unlink(process, thread);
  if (&thread != &process.leader) FreeThread(thread);
  Retarget(process);
  process.thread_count.fetch_sub(1);
  process.thread_word.fetch_add(1);
  platform::WakeWord(&process.thread_word, 1);
  return true;
}

// Gives back what only a thread needs; not the stack on which it still runs.
void DropMemory(const ThreadData& data) {
  const uint64_t block = BlockAt(data.block);
  platform::Discard(block + layout::kGuestStackOffset, layout::kGuestStackBytes);
  // The first program's instance is that of whoever began it.
  const auto instance = reinterpret_cast<uint64_t>(data.context);
  if (instance >= layout::kThreadInstances)
    platform::Discard(instance, InstanceBytes(*data.context));
}

// On the base stack: the others are given back.
[[noreturn]] void LeaveProcess() {
  ThreadData& data = OwnData();
  Thread& thread = *data.thread;
  Process& process = *thread.process;
  // A thread that sees this word change may give the guest's stack away: nothing below uses it.
  if (thread.clear_tid != 0 && process.survivor.load() == nullptr &&
      Store(thread.clear_tid, uint32_t{0}) == 0) {
    WakeFutex(thread.clear_tid, 1);
  }
  ReturnThreadPages(data.charged_pages);
  data.ending = true;
  DropMemory(data);
  std::atomic<uint32_t>* done = &taken_blocks[data.block];
  if (!Delist(process, thread)) ExitCurrent(0);
  platform::ExitThread(done);
}

}  // namespace

bool ReserveThreads() {
  constexpr uint64_t kBytes = kMaxThreads * layout::kThreadBlockBytes;
  if (mmap(reinterpret_cast<void*>(layout::kThreadBlocks), kBytes, PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
           0) != reinterpret_cast<void*>(layout::kThreadBlocks) ||
      !MakeStacks(0)) {
    return false;
  }
  taken_blocks[0] = 1;
  new (&DataOf(0)) ThreadData;
  return true;
}

void ForgetOtherThreads() {
  if (!has_made_threads) return;
  has_made_threads = false;
  ThreadData& data = OwnData();
  // Whoever held it is not here.
  new (&create_lock) Mutex;
  for (uint32_t i = 0; i < kMaxThreads; ++i) {
    if (i == data.block || taken_blocks[i].load() == 0) continue;
    platform::Discard(BlockAt(i), layout::kThreadBlockBytes);
    FreeBlock(i);
  }
  ForgetFutexWaiters();
  data.held_count = 0;
  data.given_up = nullptr;
  data.is_giving_up = false;
}

int32_t CreateThread(const ThreadStart& start) {
  const ThreadData& own = OwnData();
  if (ThreadEntry(*own.context) == nullptr) return -ENOSYS;
  const uint32_t block = TakeBlock();
  if (block == kMaxThreads) return -EAGAIN;
  has_made_threads = true;
  Thread* thread = nullptr;
  int32_t error = ChargeThreadPages(PagesOf(*own.context)) ? 0 : -EAGAIN;
  const bool charged = error == 0;
  if (error == 0) error = Enlist(start, &thread);
  Process& process = Current();
  if (error == 0 && start.store_tid != 0) error = Store(start.store_tid, thread->tid);
  if (error == 0) {
    const MutexLock lock(create_lock, LockRank::kMemoryMap);
    wasm::Context* context = nullptr;
    if (MakeStacks(block)) {
      context =
          MakeThreadInstance(block, reinterpret_cast<const uint32_t*>(&thread->sleeper.attention));
    }
    if (context == nullptr) {
      error = -EAGAIN;
    } else {
      auto* data = new (&DataOf(block)) ThreadData;
      *reinterpret_cast<ThreadBlock*>(DataAt(block)) = {};
      data->block = block;
      data->thread = thread;
      data->context = context;
      data->charged_pages = PagesOf(*context);
      data->start[0] = start.function;
      data->start[1] = start.stack;
      data->start[2] = start.argument;
      data->start[3] = start.thread_pointer;
    }
  }
  const auto tid = thread == nullptr ? 0 : static_cast<int32_t>(thread->tid);
  if (error == 0) {
    auto* top = reinterpret_cast<void*>(BlockAt(block) + layout::kBaseStackOffset +
                                        layout::kBaseStackBytes);
    if (platform::CloneThread(top, RunThread) > 0) return tid;
    error = -EAGAIN;
  }
  if (thread != nullptr) (void)Delist(process, *thread);
  if (charged) ReturnThreadPages(PagesOf(*own.context));
  FreeBlock(block);
  return error;
}

void EndThread() {
  OwnSlot().inside.store(1);
  ReleaseHeld();
  // Whichever stack this is: none but this one is needed any more.
  cordon_run_on(BaseStackTop(), LeaveProcess);
}

bool EndOtherThreads() {
  Process& process = Current();
  Thread& self = CurrentThread();
  {
    const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
    const Thread* survivor = process.survivor.load();
    if (survivor != nullptr && survivor != &self) return false;
    process.survivor.store(&self);
    for (Thread* thread = process.threads; thread != nullptr; thread = thread->next) {
      if (thread != &self) Alert(*thread);
    }
  }
  for (;;) {
    const uint32_t seen = process.thread_word.load();
    if (process.thread_count.load() == 1) return true;
    platform::WaitOnWord(&process.thread_word, seen, platform::kNever);
  }
}

void BecomeLeader() {
  Process& process = Current();
  Thread& self = CurrentThread();
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  process.survivor.store(nullptr);
  if (&self == &process.leader) return;
  Thread& leader = process.leader;
  leader.mask = self.mask;
  leader.has_saved_mask = self.has_saved_mask;
  leader.saved_mask = self.saved_mask;
  leader.pending.store(self.pending.load());
  std::copy(std::begin(self.info), std::end(self.info), leader.info);
  leader.clear_tid = 0;
  control::Slot& slot = SlotOf(leader);
  slot.host_tid.store(SlotOf(self).host_tid.load());
  slot.inside.store(1);
  process.threads = &leader;
  leader.next = nullptr;
  OwnData().thread = &leader;
  SetCurrentSlot(leader.slot);
  FreeThread(self);
  UpdateAttention(leader);
}

void FreeThreads(Process& process) {
  while (process.threads != nullptr) {
    Thread* thread = process.threads;
    process.threads = thread->next;
    if (thread != &process.leader) FreeThread(*thread);
  }
}

Thread* FindThread(uint32_t tid) {
  Kernel& kernel = TheKernel();
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* process = kernel.processes[i];
    if (process == nullptr || process->state.load() == ProcessState::kFree) continue;
    for (Thread* thread = process->threads; thread != nullptr; thread = thread->next) {
      if (thread->tid == tid) return thread;
    }
  }
  return nullptr;
}

}  // namespace cordon::kernel
