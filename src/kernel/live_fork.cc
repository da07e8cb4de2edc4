#include "kernel/live_fork.h"

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "arena/layout.h"
#include "arena/platform.h"
#include "kernel/process.h"
#include "vfs/memory_fs.h"

namespace cordon::kernel {
namespace {

// A process that computes parks in microseconds; one in the kernel when its call looks up.
constexpr uint64_t kPatienceNs = 3'000'000'000;
constexpr uint64_t kPageBytes =
    (sizeof(control::Control) + layout::kPageBytes - 1) / layout::kPageBytes * layout::kPageBytes;

// Not through the kernel's record, which is an object.
control::Control& ThePage() {
  return *reinterpret_cast<control::Control*>(layout::kControl);
}
control::ForkControl& TheFork() {
  return ThePage().fork;
}

// What a parked process knows without looking at an object: in a copy they come while it waits.
struct Standing {
  uint32_t generation = 0;
  uint64_t objects_bytes = 0;
  uint64_t blocks_bytes = 0;
  bool in_session = false;
  bool has_blocks = true;  // a generation to write to is mapped
  bool has_next = false;   // and it is the next one
  bool is_copy = false;    // which has not said yet where it runs

  static Standing Now();
  void GiveUpBlocks();
  [[nodiscard]] bool MapNext();
};

// Of the service process, from its answer until it parks.
Standing service_standing;

Standing Standing::Now() {
  const Kernel& kernel = TheKernel();
  const Process& process = Current();
  Standing standing;
  standing.generation = kernel.generation;
  standing.objects_bytes = kernel.control->objects_bytes;
  standing.blocks_bytes = kernel.control->blocks_bytes;
  standing.in_session = process.pid == kServicePid || process.job == int32_t{control::kSessionJob};
  return standing;
}

void Standing::GiveUpBlocks() {
  has_blocks = !platform::Unmap(layout::GenerationAt(generation), blocks_bytes);
}

bool Standing::MapNext() {
  has_next = has_blocks =
      platform::MapReceived(control::kPartOldBlocks, layout::GenerationAt(generation), blocks_bytes,
                            platform::Sharing::kReadOnly) &&
      platform::MapReceived(control::kPartBlocks, layout::GenerationAt(generation + 1),
                            blocks_bytes, platform::Sharing::kShared);
  return has_next;
}

// Without its files a process cannot go on, and neither can the sandbox.
[[noreturn]] void FailParked() {
  control::Control& control = ThePage();
  control.failed.store(control::kFailInternalFault);
  control.keeper_bell.fetch_add(1);
  platform::WakeWord(&control.keeper_bell, control::kKeeperThreads);
  platform::ExitProcess(1);
}

// In the copy, which first gives up everything that its sandbox shared: it is given nothing of its
// own before that was seen from outside. Whatever fails, it was never there.
void BecomeCopy(Standing* standing, uint32_t how) {
  const bool gets_blocks = (how & control::kForkNoBlocks) == 0;
  const uint64_t next = layout::GenerationAt(standing->generation + 1);
  bool done = platform::Unmap(layout::kObjects, standing->objects_bytes) &&
              (!standing->has_next || platform::Unmap(next, standing->blocks_bytes)) &&
              platform::Unmap(layout::kControl, kPageBytes);
  done = done && platform::MapReceived(control::kPartCopyObjects, layout::kObjects,
                                       standing->objects_bytes, platform::Sharing::kShared);
  if (gets_blocks) {
    done = done && platform::MapReceived(control::kPartCopyBlocks, next, standing->blocks_bytes,
                                         platform::Sharing::kShared);
  }
  done = done && platform::MapReceived(control::kPartCopyPage, layout::kControl, kPageBytes,
                                       platform::Sharing::kShared);
  if (!done) platform::ExitProcess(0);
  standing->has_blocks = standing->has_next = gets_blocks;
  standing->is_copy = true;
}

// Whether this is a copy. There may be a next one, from the same generation.
bool CloneAsAsked(Standing* standing) {
  const uint32_t how = TheFork().how.load();
  if ((how & control::kForkIsFrozen) == 0 && !standing->has_next && !standing->MapNext()) {
    FailParked();
  }
  if ((how & control::kForkSession) != 0 && !standing->in_session) return false;
  const int copy = platform::CloneProcess();
  if (copy < 0) TheFork().failed.store(1);
  if (copy == 0) BecomeCopy(standing, how);
  return copy == 0;
}

// Follows the keeper's steps until the process may go on.
void FollowSteps(Standing* standing) {
  for (uint32_t done = control::kForkPark;;) {
    const uint32_t step = TheFork().step.load();
    if (step == done) {
      platform::WaitOnWord(&TheFork().step, step, platform::kNever);
      continue;
    }
    done = step;
    switch (step % control::kForkSteps) {
      case control::kForkRun:
        if (!standing->has_blocks && !standing->MapNext()) FailParked();
        if (standing->is_copy) AnnounceLive(CurrentThread(), platform::HostThread());
        return;
      case control::kForkReturn:
        if (!standing->has_blocks &&
            !platform::MapReceived(control::kPartOldBlocks,
                                   layout::GenerationAt(standing->generation),
                                   standing->blocks_bytes, platform::Sharing::kShared)) {
          FailParked();
        }
        return;
      case control::kForkClone:
        // A copy has a page of its own, on which nothing has been said.
        if (CloneAsAsked(standing)) done = control::kForkPark;
        break;
      default:
        break;
    }
  }
}

void RingService() {
  control::Control& control = *TheKernel().control;
  control.service_bell.fetch_add(1);
  platform::WakeWord(&control.service_bell, 1);
}

bool IsThere(const Process* process) {
  if (process == nullptr || process->pid == kServicePid) return false;
  const ProcessState state = process->state.load();
  return state != ProcessState::kFree && state != ProcessState::kZombie;
}

// Why not everybody is parked, or how many are.
struct Count {
  int32_t error = 0;
  uint32_t parked = 0;
  uint32_t in_session = 0;
  const Process* missing = nullptr;
};

// Under table_lock.
Count CountParked(char* text, size_t size) {
  const Kernel& kernel = TheKernel();
  Count count;
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    const Process* process = kernel.processes[i];
    if (!IsThere(process)) continue;
    if (process->thread_count.load() > 1) {
      (void)snprintf(text, size, "%s (process %u) has %u threads", process->command, process->pid,
                     process->thread_count.load());
      count.error = -EBUSY;
      return count;
    }
    if (!process->parked.load()) {
      count.missing = process;
      continue;
    }
    ++count.parked;
    if (process->job == int32_t{control::kSessionJob}) ++count.in_session;
  }
  return count;
}

// Under table_lock.
bool IsAnybodyParked() {
  const Kernel& kernel = TheKernel();
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    if (IsThere(kernel.processes[i]) && kernel.processes[i]->parked.load()) return true;
  }
  return false;
}

// Everybody has seen that an earlier fork is over.
void AwaitEarlierFork(uint64_t deadline_ns) {
  constexpr uint64_t kLookNs = 200'000;
  for (;;) {
    const uint64_t now = platform::ClockNs(1);
    const uint32_t bell = TheKernel().control->service_bell.load();
    {
      const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
      if (!IsAnybodyParked() || now >= deadline_ns) return;
    }
    platform::WaitOnWord(&TheKernel().control->service_bell, bell, now + kLookNs);
  }
}

void MarkEverybody() {
  Kernel& kernel = TheKernel();
  control::ForkControl& fork = TheFork();
  fork.step.store(control::kForkPark);
  fork.renewed.store(0);
  fork.failed.store(0);
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  kernel.parking.store(true);
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* process = kernel.processes[i];
    if (!IsThere(process)) continue;
    for (Thread* thread = process->threads; thread != nullptr; thread = thread->next)
      Alert(*thread);
  }
}

Count AwaitParked(uint64_t deadline_ns, char* text, size_t size) {
  control::Control& control = *TheKernel().control;
  for (;;) {
    const uint32_t bell = control.service_bell.load();
    Count count;
    {
      const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
      count = CountParked(text, size);
      if (count.error == 0 && count.missing != nullptr && platform::ClockNs(1) >= deadline_ns) {
        (void)snprintf(text, size, "%s (process %u) does not stand still", count.missing->command,
                       count.missing->pid);
        count.error = -ETIMEDOUT;
      }
    }
    if (count.error == 0 && TheKernel().generation + 2 >= layout::kMaxGenerations) {
      (void)snprintf(text, size, "it was forked or stored %u times", TheKernel().generation);
      count.error = -EMFILE;
    }
    if (count.error != 0 || count.missing == nullptr) return count;
    platform::WaitOnWord(&control.service_bell, bell, deadline_ns);
  }
}

// What the service of a sandbox that was stored does for those who were not stored with it.
void BuryAbsent() {
  Kernel& kernel = TheKernel();
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* process = kernel.processes[i];
    if (!IsThere(process) || process->job == int32_t{control::kSessionJob}) continue;
    process->parked.store(false);
    (void)BuryDead(i, SIGKILL);
  }
}

// Time stood still for whoever was stored.
void SkipTime(uint64_t lost_ns) {
  Kernel& kernel = TheKernel();
  const MutexLock lock(kernel.table_lock, LockRank::kProcessTable);
  kernel.boot_ns += lost_ns;
  for (uint32_t i = 0; i < kernel.slot_end; ++i) {
    Process* process = kernel.processes[i];
    if (process == nullptr) continue;
    process->start_ns += lost_ns;
    if (process->alarm_ns != 0) process->alarm_ns += lost_ns;
  }
}

}  // namespace

bool IsParking() {
  return TheKernel().parking.load(std::memory_order_seq_cst);
}

void Park() {
  Process& process = Current();
  Standing standing = Standing::Now();
  // With several threads another one may be using the blocks; such a process is a reason to refuse.
  if (!HasOtherThreads()) {
    standing.GiveUpBlocks();
    process.parked.store(true);
    RingService();
  }
  FollowSteps(&standing);
  const std::atomic<uint32_t>& renewed = TheFork().renewed;
  while (renewed.load() == 0) platform::WaitOnWord(&renewed, 0, platform::kNever);
  process.parked.store(false);
  const MutexLock lock(TheKernel().table_lock, LockRank::kProcessTable);
  UpdateAttention(CurrentThread());
}

int32_t ParkEverybody(control::Mailbox& mailbox) {
  char text[256] = {};
  const uint64_t deadline = platform::ClockNs(1) + kPatienceNs;
  AwaitEarlierFork(deadline);
  MarkEverybody();
  const Count count = AwaitParked(deadline, text, sizeof text);
  const auto size = static_cast<uint32_t>(
      snprintf(reinterpret_cast<char*>(mailbox.payload), sizeof text, "%s", text));
  mailbox.payload_bytes.store(size);
  service_standing = Standing::Now();
  if (count.error != 0) return count.error;
  service_standing.GiveUpBlocks();
  const bool session = (mailbox.arg[0].load() & control::kForkSession) != 0;
  return static_cast<int32_t>((session ? count.in_session : count.parked) + 1);
}

void ParkService() {
  Kernel& kernel = TheKernel();
  Standing standing = service_standing;
  FollowSteps(&standing);
  if (standing.has_next) {
    ++kernel.generation;
    auto* at = reinterpret_cast<void*>(layout::GenerationAt(kernel.generation));
    static_cast<vfs::MemoryFs*>(kernel.files)
        ->BeginGeneration(Arena::Create(at, kernel.control->blocks_bytes));
  }
  SkipTime(kernel.control->fork.lost_ns.exchange(0));
  if (kernel.control->fork.restored.exchange(0) != 0) BuryAbsent();
  kernel.parking.store(false);
  kernel.control->fork.renewed.store(1);
  platform::WakeWord(&kernel.control->fork.renewed, INT32_MAX);
}

}  // namespace cordon::kernel
