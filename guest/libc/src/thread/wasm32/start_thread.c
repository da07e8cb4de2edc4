#include <stdarg.h>
#include "pthread_impl.h"
#include "syscall.h"

/* Of crt/wasm32/threads.c, in programs that are linked for threads: see toolchain/cordon-cc. */
__attribute__((__weak__)) size_t __cordon_tls_size(void);
__attribute__((__weak__)) size_t __cordon_tls_align(void);
__attribute__((__weak__)) void __cordon_tls_init(void*);

/* The kernel calls it in the thread's own instance: its globals are as in a new one. */
__asm__(
    ".globaltype __stack_pointer, i32\n"
    ".functype __cordon_run_thread (i32, i32) -> ()\n"
    ".globl __cordon_thread\n"
    ".export_name __cordon_thread, __cordon_thread\n"
    ".type __cordon_thread,@function\n"
    "__cordon_thread:\n"
    "	.functype __cordon_thread (i32, i32, i32, i32) -> ()\n"
    "	local.get 1\n"
    "	global.set __stack_pointer\n"
    "	local.get 3\n"
    "	global.set __cordon_thread_pointer\n"
    "	local.get 0\n"
    "	local.get 2\n"
    "	call __cordon_run_thread\n"
    "	end_function\n");

__attribute__((__used__)) hidden void __cordon_run_thread(int (*function)(void*), void* arg) {
  if (__cordon_tls_size && __cordon_tls_size() > 0) {
    /* Thread-local variables lie on the thread's stack, above all that it calls. */
    const size_t align = __cordon_tls_align();
    char* block = __builtin_alloca(__cordon_tls_size() + align);
    __cordon_tls_init(block + (-(uintptr_t)block & (align - 1)));
  }
  __syscall(SYS_exit, function(arg));
}

int __cordon_start_thread(int (*function)(void*), void* stack, int flags, void* arg, ...) {
  va_list rest;
  va_start(rest, arg);
  int* tid = va_arg(rest, int*);
  void* thread_pointer = va_arg(rest, void*);
  int* clear_tid = va_arg(rest, int*);
  va_end(rest);
  (void)flags;
  return __syscall(SYS_thread_create, function, (uintptr_t)stack & ~(uintptr_t)15, arg, thread_pointer,
                   tid, clear_tid);
}
