#include "escape/fork_attempts.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <iterator>

#include "arena/layout.h"
#include "arena/platform.h"
#include "kernel/control.h"

namespace cordon::escape {
namespace {

constexpr uint64_t kSomeBytes = 1 << 20;

control::Control& Control() {
  return *reinterpret_cast<control::Control*>(layout::kControl);
}
// A word of the page that nobody uses: what a hidden process says.
std::atomic<uint32_t>& Note() {
  return *reinterpret_cast<std::atomic<uint32_t>*>(
      &Control().slots[control::kMaxSlots - 1].reserved[1]);
}
void* FirstBlocks() {
  return reinterpret_cast<void*>(layout::GenerationAt(0));
}

[[noreturn]] void SleepForEver() {
  static std::atomic<uint32_t> word{0};
  for (;;) platform::WaitOnWord(&word, 0, platform::kNever);
}

// A clone that the kernel does not know of, and that complies with nothing.
int64_t HoldBlocks() {
  const int pid = platform::CloneProcess();
  if (pid == 0) SleepForEver();
  return pid > 0 ? 0 : pid;
}

// Any part at any time.
int64_t AskForParts() {
  int64_t given = 0;
  for (uint32_t part = 0; part < control::kForkParts + 2; ++part) {
    const long fd = syscall(SYS_dup, part);
    if (fd >= 0) ++given;
  }
  return given;
}

// The memory of a copy, by a process that keeps the memory of the sandbox.
int64_t AskWhileMapped() {
  const int pid = platform::CloneProcess();
  if (pid != 0) return pid > 0 ? 0 : pid;
  munmap(FirstBlocks(), Control().blocks_bytes);
  for (uint32_t asked = 1;; ++asked) {
    for (const auto part :
         {control::kPartCopyObjects, control::kPartCopyBlocks, control::kPartCopyPage}) {
      if (syscall(SYS_dup, part) >= 0) Note().store(0x80000000);
    }
    if (Note().load() < 0x80000000) Note().store(asked);
  }
}

int64_t WriteSealed() {
  memset(FirstBlocks(), 'A', kSomeBytes);
  return 0;
}

int64_t ChangePrivately() {
  if (mprotect(FirstBlocks(), kSomeBytes, PROT_READ | PROT_WRITE) != 0) return 0;
  memset(FirstBlocks(), 'A', kSomeBytes);
  return 1;
}

int64_t RemoveSealed() {
  return madvise(FirstBlocks(), kSomeBytes, MADV_REMOVE) == 0 ? 1 : 0;
}

// The code that the keeper adds: made writable, or given back.
int64_t ChangeWindow() {
  void* window = reinterpret_cast<void*>(layout::kCodeWindow);
  if (mprotect(window, layout::kPageBytes, PROT_READ | PROT_WRITE) == 0) {
    memset(window, 'A', layout::kPageBytes);
    return 2;
  }
  return madvise(window, layout::kPageBytes, MADV_REMOVE) == 0 ? 1 : 0;
}

// Every process that there may be is said to be ours, and to need a kick.
int64_t KickEverybody() {
  uint32_t pid = 2;
  for (control::Slot& slot : Control().slots) {
    if (slot.state.load() != control::Slot::kFree) continue;
    slot.host_pid.store(pid);
    slot.host_tid.store(pid++);
    slot.inside.store(0);
    slot.state.store(control::Slot::kLive);
    slot.kick.store(1);
  }
  Control().kicker_bell.fetch_add(1);
  platform::WakeWord(&Control().kicker_bell, 1);
  return 0;
}

struct Row {
  const char* name;
  int64_t (*attempt)();
};
constexpr Row kPieces[] = {
    {"hold-blocks", HoldBlocks},          {"ask-for-parts", AskForParts},
    {"ask-while-mapped", AskWhileMapped}, {"read-note", [] { return int64_t{Note().load()}; }},
    {"write-sealed", WriteSealed},        {"change-privately", ChangePrivately},
    {"remove-sealed", RemoveSealed},      {"kick-everybody", KickEverybody},
    {"change-window", ChangeWindow},
};

}  // namespace

int64_t ForkAttempt(const char* name) {
  for (const Row& row : kPieces) {
    if (strcmp(name, row.name) == 0) return row.attempt();
  }
  return -1000;
}

}  // namespace cordon::escape
