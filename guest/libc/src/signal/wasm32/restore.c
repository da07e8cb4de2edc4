/* sigaction refers to __restore: so this file, and with it the export that the kernel calls, is in
 * exactly those programs that install handlers. */

#include <signal.h>
#include <stdint.h>
#include "syscall.h"

/* The kernel calls it at safe points, on the stack of the interrupted code. A leaf function keeps
 * up to 128 bytes below the stack pointer: stay clear of them. */
__asm__(
    ".globaltype __stack_pointer, i32\n"
    ".functype __cordon_run_handler (i32, i32, i32) -> ()\n"
    ".globl __cordon_signal\n"
    ".export_name __cordon_signal, __cordon_signal\n"
    ".type __cordon_signal,@function\n"
    "__cordon_signal:\n"
    "	.functype __cordon_signal (i32, i32, i32) -> ()\n"
    "	global.get __stack_pointer\n"
    "	i32.const 128\n"
    "	i32.sub\n"
    "	global.set __stack_pointer\n"
    "	local.get 0\n"
    "	local.get 1\n"
    "	local.get 2\n"
    "	call __cordon_run_handler\n"
    "	global.get __stack_pointer\n"
    "	i32.const 128\n"
    "	i32.add\n"
    "	global.set __stack_pointer\n"
    "	end_function\n");

__attribute__((__used__)) hidden void __cordon_run_handler(uintptr_t handler, int sig, int flags) {
  int saved_errno = errno;
  if (flags & SA_SIGINFO) {
    siginfo_t info = {.si_signo = sig};
    ucontext_t context = {0};
    __cordon_signal_info((long)&info);
    ((void (*)(int, siginfo_t*, void*))handler)(sig, &info, &context);
  } else {
    ((void (*)(int))handler)(sig);
  }
  errno = saved_errno;
}

hidden void __restore(void) {}

hidden void __restore_rt(void) {}
