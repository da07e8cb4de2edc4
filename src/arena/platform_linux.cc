// Raw system calls: the C library's wrappers would set errno, look at thread-local storage or
// refuse inside the wall.

#include <linux/futex.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include <cerrno>
#include <csignal>

#include "arena/platform.h"

namespace cordon::platform {
namespace {

long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
#if defined(__x86_64__)
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#else
#error "raw system calls are written for x86-64 only"
#endif
}

long Address(const void* pointer) {
  return reinterpret_cast<long>(pointer);
}

int Protection(Access access) {
  switch (access) {
    case Access::kNone:
      return PROT_NONE;
    case Access::kRead:
      return PROT_READ;
    case Access::kReadWrite:
      return PROT_READ | PROT_WRITE;
  }
  return PROT_NONE;
}

timespec FromNs(uint64_t ns) {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace

uint64_t ClockNs(int clock) {
  timespec now{};
  // Through the vDSO where there is one, which is a plain function call; it does not touch errno
  // when it succeeds.
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void WaitOnWord(const std::atomic<uint32_t>* word, uint32_t seen, uint64_t deadline_ns) {
  const timespec deadline = FromNs(deadline_ns == kNever ? 0 : deadline_ns);
  // FUTEX_WAIT_BITSET takes an absolute time; shared, because the waker is another process.
  Call(SYS_futex, Address(word), FUTEX_WAIT_BITSET, seen,
       deadline_ns == kNever ? 0 : Address(&deadline), 0, FUTEX_BITSET_MATCH_ANY);
}

void WakeWord(const std::atomic<uint32_t>* word, int count) {
  Call(SYS_futex, Address(word), FUTEX_WAKE, count);
}

void FillRandom(void* data, size_t size) {
  auto* at = static_cast<uint8_t*>(data);
  while (size > 0) {
    const long got = Call(SYS_getrandom, Address(at), static_cast<long>(size), 0);
    if (got == -EINTR) continue;
    // Nothing else can go wrong once the pool is initialised; running on without randomness is no
    // choice.
    if (got <= 0) ExitProcess(125);
    at += got;
    size -= static_cast<size_t>(got);
  }
}

bool Protect(uint64_t address, uint64_t size, Access access) {
  return Call(SYS_mprotect, static_cast<long>(address), static_cast<long>(size),
              Protection(access)) == 0;
}

bool MapPrivate(uint64_t address, uint64_t size, Access access) {
  return Call(SYS_mmap, static_cast<long>(address), static_cast<long>(size), Protection(access),
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
              0) == static_cast<long>(address);
}

bool MoveFrozen(uint64_t from, uint64_t to, uint64_t size) {
  constexpr long kDontUnmap = 4;  // MREMAP_DONTUNMAP, of files since Linux 5.13
  return Call(SYS_mremap, static_cast<long>(from), static_cast<long>(size), static_cast<long>(size),
              MREMAP_MAYMOVE | MREMAP_FIXED | kDontUnmap,
              static_cast<long>(to)) == static_cast<long>(to);
}

void Populate(uint64_t address, uint64_t size) {
  constexpr long kPopulateWrite = 23;  // MADV_POPULATE_WRITE, since Linux 5.14
  Call(SYS_madvise, static_cast<long>(address), static_cast<long>(size), kPopulateWrite);
}

void Discard(uint64_t address, uint64_t size) {
  Call(SYS_madvise, static_cast<long>(address), static_cast<long>(size), MADV_DONTNEED);
}

void DiscardShared(uint64_t address, uint64_t size) {
  // On shared memory MADV_DONTNEED frees nothing; this makes a hole in the memfd.
  Call(SYS_madvise, static_cast<long>(address), static_cast<long>(size), MADV_REMOVE);
}

bool MapReceived(uint32_t part, uint64_t address, uint64_t size, Sharing sharing) {
  // The filter notifies whoever listens, and its answer is a descriptor.
  long fd = -EINTR;
  while (fd == -EINTR) fd = Call(SYS_dup, part);
  if (fd < 0) return false;
  const bool shared = sharing == Sharing::kShared;
  const long got = Call(SYS_mmap, static_cast<long>(address), static_cast<long>(size),
                        shared ? PROT_READ | PROT_WRITE : PROT_READ,
                        (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED | MAP_NORESERVE, fd, 0);
  Call(SYS_close, fd);
  return got == static_cast<long>(address);
}

bool Unmap(uint64_t address, uint64_t size) {
  return Call(SYS_munmap, static_cast<long>(address), static_cast<long>(size)) == 0;
}

int CloneProcess() {
  // The filter inside the wall knows exactly this flag word for a new process.
  return static_cast<int>(Call(SYS_clone, CLONE_PARENT | SIGCHLD));
}

int CloneThread(void* stack_top, void (*entry)()) {
  // The filter knows exactly this flag word for a thread. Thread-local storage of the C library
  // stays that of the caller: nothing here uses it.
  constexpr long kFlags =
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  register long r10 asm("r10") = 0;
  register long r8 asm("r8") = 0;
  register auto r9 asm("r9") = reinterpret_cast<long>(entry);
  long result;
  // The new thread has registers but nothing on its stack: it must not return into this function.
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"
      "callq *%%r9\n\t"
      "ud2\n"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone), "D"(kFlags), "S"(stack_top), "d"(0), "r"(r10), "r"(r8), "r"(r9)
      : "rcx", "r11", "memory");
  return static_cast<int>(result);
}

void ExitThread(std::atomic<uint32_t>* done) {
  static constexpr uint64_t kAll = UINT64_MAX;
  Call(SYS_rt_sigprocmask, SIG_SETMASK, Address(&kAll), 0, sizeof kAll);
  // From the store on, somebody else may run on this stack.
  asm volatile(
      "movl $0, (%0)\n"
      "1:\n\t"
      "xorl %%edi, %%edi\n\t"
      "movl %1, %%eax\n\t"
      "syscall\n\t"
      "jmp 1b"
      :
      : "r"(done), "i"(SYS_exit)
      : "rax", "rcx", "rdi", "r11", "memory");
  __builtin_unreachable();
}

void UseSignalStack(uint64_t address, uint64_t size) {
  stack_t stack = {};
  stack.ss_sp = reinterpret_cast<void*>(address);
  stack.ss_size = size;
  Call(SYS_sigaltstack, Address(&stack), 0);
}

uint32_t HostThread() {
  return static_cast<uint32_t>(Call(SYS_gettid));
}

void ExitProcess(int status) {
  for (;;) Call(SYS_exit_group, status);
}

}  // namespace cordon::platform
