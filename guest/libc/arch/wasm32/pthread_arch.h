/* A global of the module: each thread is an instance with its own. */
__asm__(".globaltype __cordon_thread_pointer, i32\n");

static inline uintptr_t __get_tp(void) {
  uintptr_t pointer;
  __asm__("global.get __cordon_thread_pointer\n\tlocal.set %0" : "=r"(pointer));
  return pointer;
}

#define MC_PC __unused[0]
