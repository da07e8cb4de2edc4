#include "escape/attempts.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "arena/layout.h"
#include "arena/platform.h"
#include "kernel/control.h"

namespace cordon::escape {
namespace {

long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result = 0;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

// What the kernel moves frozen programs with.
constexpr long kMoveFrozen = MREMAP_MAYMOVE | MREMAP_FIXED | 4 /* MREMAP_DONTUNMAP */;

long Address(const void* pointer) {
  return reinterpret_cast<long>(pointer);
}

long Old32BitCall() {
  long result = 20;  // getpid of the 32-bit table
  asm volatile("int $0x80" : "+a"(result) : : "memory");
  return result;
}

// What the filter lets pass for a thread.
constexpr long kThreadFlags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

control::Control& Control() {
  return *reinterpret_cast<control::Control*>(layout::kControl);
}

long WriteTo(uint64_t address) {
  *reinterpret_cast<volatile uint64_t*>(address) = 0x9090909090909090;
  return 0;
}

// Memory that the kernel does not know about, touched.
long TakeMemory() {
  constexpr long kBytes = 3L << 30;
  const long at = Call(SYS_mmap, 0, kBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at < 0) return at;
  for (long i = 0; i < kBytes; i += 4096) *reinterpret_cast<volatile char*>(at + i) = 1;
  return 0;
}

// The same by a thread, when the first one of the process has ended.
long TakeMemoryInThread() {
  static std::byte stack[65536];
  const auto top = (reinterpret_cast<uint64_t>(stack) + sizeof stack) & ~uint64_t{15};
  const int tid = platform::CloneThread(reinterpret_cast<void*>(top), [] {
    TakeMemory();
    for (;;) Call(SYS_exit, 0);
  });
  if (tid < 0) return tid;
  for (;;) Call(SYS_exit, 0);
}

long DamageRings() {
  for (control::Ring& ring : Control().rings) {
    ring.written.store(0x7fffffff);
    ring.read.store(1);
  }
  Control().keeper_bell.fetch_add(1);
  Call(SYS_futex, Address(&Control().keeper_bell), FUTEX_WAKE, 1);
  return 0;
}

// Every number of a process that the keeper may believe is the number of somebody else.
long LieAboutProcesses() {
  for (control::Slot& slot : Control().slots) {
    slot.host_pid.store(1);
    slot.host_tid.store(1);
    slot.kick.store(1);
  }
  Control().kicker_bell.fetch_add(1);
  Call(SYS_futex, Address(&Control().kicker_bell), FUTEX_WAKE, 1);
  return 0;
}

long DamageArena() {
  memset(reinterpret_cast<void*>(layout::kObjects), 0xff, 1 << 20);
  return 0;
}

struct Row {
  const char* name;
  long (*attempt)();
};

// clang-format off
const Row kAttempts[] = {
    {"open", [] { return Call(SYS_open, Address("/etc/passwd"), O_RDONLY); }},
    {"openat", [] { return Call(SYS_openat, AT_FDCWD, Address("/etc/passwd"), O_RDONLY); }},
    {"openat2", [] { return Call(SYS_openat2, AT_FDCWD, Address("/etc/passwd")); }},
    {"read", [] { char byte = 0; return Call(SYS_read, 0, Address(&byte), 1); }},
    {"write", [] { return Call(SYS_write, 1, Address("x"), 1); }},
    {"socket", [] { return Call(SYS_socket, AF_INET, SOCK_STREAM, 0); }},
    {"socketpair", [] { int ends[2]; return Call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, Address(ends)); }},
    {"execve", [] { const char* none[] = {nullptr}; return Call(SYS_execve, Address("/bin/sh"), Address(none), Address(none)); }},
    {"ptrace-traceme", [] { return Call(SYS_ptrace, PTRACE_TRACEME); }},
    {"ptrace-parent", [] { return Call(SYS_ptrace, PTRACE_ATTACH, Call(SYS_getppid)); }},
    {"process-vm-readv", [] { return Call(SYS_process_vm_readv, 1); }},
    {"kill-all", [] { return Call(SYS_kill, -1, SIGKILL); }},
    {"kill-init", [] { return Call(SYS_kill, 1, SIGKILL); }},
    {"tgkill", [] { return Call(SYS_tgkill, 1, 1, SIGKILL); }},
    {"pidfd-open", [] { return Call(SYS_pidfd_open, 1); }},
    {"mmap-executable", [] { return Call(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }},
    {"mprotect-executable", [] { return Call(SYS_mprotect, static_cast<long>(layout::kObjects), 4096, PROT_READ | PROT_EXEC); }},
    {"mremap-code", [] { return Call(SYS_mremap, static_cast<long>(layout::kUserlandCode), 4096, 4096, kMoveFrozen, static_cast<long>(layout::kMemory)); }},
    {"mremap-elsewhere", [] { return Call(SYS_mremap, static_cast<long>(layout::kUserlandFrozen), 4096, 4096, kMoveFrozen, static_cast<long>(layout::kThreadBlocks + layout::kKernelStackOffset)); }},
    {"pkey-mprotect", [] { return Call(SYS_pkey_mprotect, static_cast<long>(layout::kObjects), 4096, PROT_EXEC, -1); }},
    {"mremap", [] { return Call(SYS_mremap, static_cast<long>(layout::kControl), 4096, 1 << 30, MREMAP_MAYMOVE); }},
    {"memfd-create", [] { return Call(SYS_memfd_create, Address("x"), 0); }},
    {"ftruncate", [] { return Call(SYS_ftruncate, 3, 1L << 40); }},
    {"fallocate", [] { return Call(SYS_fallocate, 4, 0, 0, 1L << 40); }},
    {"fcntl", [] { return Call(SYS_fcntl, 3, F_GET_SEALS); }},
    {"ioctl", [] { return Call(SYS_ioctl, 0, 0x5412, Address("x")); }},
    {"prctl", [] { return Call(SYS_prctl, 4, 1); }},
    {"unshare", [] { return Call(SYS_unshare, CLONE_NEWUSER); }},
    {"setns", [] { return Call(SYS_setns, 0, 0); }},
    {"clone-newuser", [] { return Call(SYS_clone, CLONE_NEWUSER | SIGCHLD); }},
    {"clone-vm", [] { return Call(SYS_clone, CLONE_VM | SIGCHLD); }},
    {"clone-without-parent", [] { return Call(SYS_clone, SIGCHLD); }},
    {"clone-thread-newnet", [] { return Call(SYS_clone, kThreadFlags | CLONE_NEWNET); }},
    {"clone-thread-settls", [] { return Call(SYS_clone, kThreadFlags | CLONE_SETTLS); }},
    {"clone-thread-unshared", [] { return Call(SYS_clone, kThreadFlags & ~long{CLONE_FILES}); }},
    {"mount", [] { return Call(SYS_mount, Address("none"), Address("/"), Address("tmpfs")); }},
    {"chroot", [] { return Call(SYS_chroot, Address("/")); }},
    {"setuid", [] { return Call(SYS_setuid, 0); }},
    {"bpf", [] { return Call(SYS_bpf, 0); }},
    {"io-uring", [] { return Call(SYS_io_uring_setup, 1, Address("")); }},
    {"userfaultfd", [] { return Call(SYS_userfaultfd, 0); }},
    {"perf-event", [] { return Call(SYS_perf_event_open, 0); }},
    {"keyctl", [] { return Call(SYS_keyctl, 0); }},
    {"shmget", [] { return Call(SYS_shmget, 0, 4096, 0); }},
    {"futex-pi", [] { return Call(SYS_futex, Address(&Control().keeper_bell), FUTEX_LOCK_PI); }},
    {"futex-requeue", [] { return Call(SYS_futex, Address(&Control().keeper_bell), FUTEX_CMP_REQUEUE); }},
    {"seccomp", [] { return Call(SYS_seccomp, 1, 0); }},
    {"setrlimit", [] { return Call(SYS_prlimit64, 0, 7); }},
    {"x32-call", [] { return Call(0x40000000 | SYS_getpid); }},
    {"32-bit-call", Old32BitCall},
    // These come back with an error or a fault of the process alone.
    {"clone3", [] { return Call(SYS_clone3, 0, 0); }},
    {"write-userland", [] { return WriteTo(layout::kUserland); }},
    {"write-code", [] { return WriteTo(layout::kUserlandCode); }},
    {"beyond-control", [] { return WriteTo(layout::kControl + (1ul << 32)); }},
    // These are for the keeper to notice.
    {"take-memory", TakeMemory},
    {"take-memory-in-thread", TakeMemoryInThread},
    {"damage-rings", DamageRings},
    {"lie-about-processes", LieAboutProcesses},
    {"damage-arena", DamageArena},
};
// clang-format on

}  // namespace

int64_t Attempt(const char* name) {
  for (const Row& row : kAttempts) {
    if (strcmp(row.name, name) == 0) return row.attempt();
  }
  return -1000;
}

}  // namespace cordon::escape
