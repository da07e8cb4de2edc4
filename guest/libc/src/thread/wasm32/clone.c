#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include "pthread_impl.h"
#include "syscall.h"

/* posix_spawn's child may share memory with its parent, it need not: a copy on write is as good and
 * much simpler. Threads begin in start_thread.c, so that only programs that have some import what
 * makes them. */
int __clone(int (*func)(void*), void* stack, int flags, void* arg, ...) {
  (void)stack;
  if ((flags & CLONE_VM) && !(flags & CLONE_VFORK)) return -ENOSYS;
  if (flags & ~(CLONE_VM | CLONE_VFORK | 0xff)) return -EINVAL;
  int pid = __syscall(SYS_fork);
  if (pid == 0) {
    __pthread_self()->tid = __syscall(SYS_gettid);
    _Exit(func(arg));
  }
  return pid;
}
