#ifndef CORDON_ARENA_PLATFORM_H_
#define CORDON_ARENA_PLATFORM_H_

// The only way in which code that runs inside the wall asks the host for anything. The Linux
// version makes raw system calls that the filter allows (platform_linux.cc); the browser build
// replaces it.
//
// Nothing here allocates, throws, uses thread-local storage or touches errno.

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace cordon::platform {

// Nanoseconds; clocks are Linux's numbers (CLOCK_REALTIME 0, CLOCK_MONOTONIC 1,
// CLOCK_PROCESS_CPUTIME_ID 2 …).
uint64_t ClockNs(int clock);
inline constexpr uint64_t kNever = UINT64_MAX;

// Sleeps while *word == seen, until woken, interrupted by a kick or the monotonic deadline. Returns
// without a reason: the caller looks at its condition again.
void WaitOnWord(const std::atomic<uint32_t>* word, uint32_t seen, uint64_t deadline_ns);
void WakeWord(const std::atomic<uint32_t>* word, int count);

void FillRandom(void* data, size_t size);

// Changes the protection of private memory. Both fail only when the host is out of memory.
enum class Access { kNone, kRead, kReadWrite };
[[nodiscard]] bool Protect(uint64_t address, uint64_t size, Access access);
// Anonymous private memory at a fixed address, replacing what is there, zero-filled and with no
// access by default.
[[nodiscard]] bool MapPrivate(uint64_t address, uint64_t size, Access access);
// Moves a private mapping of a file, page-aligned, over linear memory at `to`, copy on write, and
// leaves the file as it is where it was. False: this host cannot; nothing was changed.
[[nodiscard]] bool MoveFrozen(uint64_t from, uint64_t to, uint64_t size);
// Takes the pages of private memory that will be written, in one call instead of a fault for each.
// Only a hint.
void Populate(uint64_t address, uint64_t size);
// Gives the pages back to the host; they read as zero afterwards.
void Discard(uint64_t address, uint64_t size);
// The same for memory that is shared: all processes read zeros afterwards.
void DiscardShared(uint64_t address, uint64_t size);

// Asks the host for a file that it keeps ready, and maps it at a fixed address over what is there.
// kReadOnly maps privately what nobody can change. False: it was not given.
enum class Sharing { kReadOnly, kShared };
[[nodiscard]] bool MapReceived(uint32_t part, uint64_t address, uint64_t size, Sharing sharing);
[[nodiscard]] bool Unmap(uint64_t address, uint64_t size);

// Duplicates the calling process: 0 in the copy, its host identifier in the caller, -errno on
// failure. The keeper becomes its host parent.
int CloneProcess();
// A thread of the calling process, on a stack of its own, 16-aligned: its host identifier, -errno
// on failure. `entry` never returns.
int CloneThread(void* stack_top, void (*entry)());
// Ends the calling thread alone, after all host signals are blocked for it. `*done` becomes 0 when
// its stacks are not needed any more.
[[noreturn]] void ExitThread(std::atomic<uint32_t>* done);
// Where the calling thread handles host signals.
void UseSignalStack(uint64_t address, uint64_t size);
// The host's identifier of the calling thread, in its PID namespace.
uint32_t HostThread();
// Ends the calling host process at once, with no clean-up of its own. `status` is seen by the
// keeper only.
[[noreturn]] void ExitProcess(int status);

}  // namespace cordon::platform

#endif  // CORDON_ARENA_PLATFORM_H_
