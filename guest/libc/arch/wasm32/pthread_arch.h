extern __attribute__((__visibility__("hidden"))) _Thread_local uintptr_t __cordon_thread_pointer;

static inline uintptr_t __get_tp(void) {
  return __cordon_thread_pointer;
}

#define MC_PC __unused[0]
