/* setjmp by exceptions. The compiler turns a function that calls setjmp into one that catches the
 * tag __c_longjmp and asks these functions whether the buffer that was thrown at is one of its own.
 */

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include "syscall.h"

struct thrown {
  void* env;
  int value;
};

struct saved {
  void* invocation;
  uint32_t label;
  struct thrown thrown;
};

_Static_assert(sizeof(struct saved) <= sizeof(__jmp_buf), "jmp_buf is too small");

/* Compiled code reads `thrown` by these offsets. */
_Static_assert(offsetof(struct thrown, value) == sizeof(void*), "layout known to the compiler");

enum { kTagOfLongjmp = 1 };

void __wasm_setjmp(void* env, uint32_t label, void* invocation) {
  struct saved* saved = env;
  saved->invocation = invocation;
  saved->label = label;
}

uint32_t __wasm_setjmp_test(void* env, void* invocation) {
  struct saved* saved = env;
  return saved->invocation == invocation ? saved->label : 0;
}

_Noreturn void __wasm_longjmp(void* env, int value) {
  struct saved* saved = env;
  saved->thrown.env = env;
  saved->thrown.value = value ? value : 1;
  __builtin_wasm_throw(kTagOfLongjmp, &saved->thrown);
}

void __sigsetjmp_mask(sigjmp_buf env, int save) {
  env->__fl = save;
  if (save) __syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, env->__ss, _NSIG / 8);
}

_Noreturn void siglongjmp(sigjmp_buf env, int value) {
  if (env->__fl) __syscall(SYS_rt_sigprocmask, SIG_SETMASK, env->__ss, 0, _NSIG / 8);
  __wasm_longjmp(env, value);
}

_Noreturn void longjmp(jmp_buf env, int value) {
  __wasm_longjmp(env, value);
}

_Noreturn void _longjmp(jmp_buf env, int value) {
  __wasm_longjmp(env, value);
}
