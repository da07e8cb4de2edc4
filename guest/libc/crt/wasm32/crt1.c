/* Start of a program: the kernel hands over argc, argv, envp and auxv as one block, laid out as
 * Linux does on a new process's stack, and the block lives in the first frame of the shadow stack.
 */

#include <stddef.h>

__attribute__((__import_module__("cordon"), __import_name__("startup_size"))) long
__cordon_startup_size(void);
__attribute__((__import_module__("cordon"), __import_name__("startup_copy"))) long
__cordon_startup_copy(void*);

int __libc_start_main(int (*)(int, char**, char**), int, char**, void (*)(), void (*)(),
                      void (*)());

/* The compiler gives each signature of main a name of its own. */
#ifdef MAIN_TAKES_ENVIRONMENT
int main(int, char**, char**);
#else
__attribute__((__weak__)) int __main_argc_argv(int, char**);
__attribute__((__weak__)) int __main_void(void);
#endif

void __wasm_call_ctors(void);

/* Named here, so that the linker does not wrap exports in calls of the constructors. */
void __libc_start_init(void) {
  __wasm_call_ctors();
}

static int call_main(int argc, char** argv, char** envp) {
#ifdef MAIN_TAKES_ENVIRONMENT
  return main(argc, argv, envp);
#else
  (void)envp;
  return __main_argc_argv ? __main_argc_argv(argc, argv) : __main_void();
#endif
}

__attribute__((__export_name__("_start"))) void _start(void) {
  size_t size = (size_t)__cordon_startup_size();
  long* block = __builtin_alloca_with_align((size + 15) & ~(size_t)15, 128);
  __cordon_startup_copy(block);
  __libc_start_main(call_main, (int)block[0], (char**)(block + 1), 0, 0, 0);
}
