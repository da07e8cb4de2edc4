/* Without the atomics feature the compiler lowers these builtins to plain loads and stores; with
 * it, to the real instructions, so that a threaded variant needs no other file. */
#define a_cas a_cas
static inline int a_cas(volatile int* p, int t, int s) {
  return __sync_val_compare_and_swap(p, t, s);
}

#define a_swap a_swap
static inline int a_swap(volatile int* p, int v) {
  return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}

#define a_fetch_add a_fetch_add
static inline int a_fetch_add(volatile int* p, int v) {
  return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}

#define a_fetch_and a_fetch_and
static inline int a_fetch_and(volatile int* p, int v) {
  return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);
}

#define a_fetch_or a_fetch_or
static inline int a_fetch_or(volatile int* p, int v) {
  return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
}

#define a_store a_store
static inline void a_store(volatile int* p, int v) {
  __atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

#define a_barrier a_barrier
static inline void a_barrier(void) {
  __sync_synchronize();
}

#define a_clz_32 a_clz_32
static inline int a_clz_32(uint32_t x) {
  return __builtin_clz(x);
}

#define a_clz_64 a_clz_64
static inline int a_clz_64(uint64_t x) {
  return __builtin_clzll(x);
}

#define a_ctz_32 a_ctz_32
static inline int a_ctz_32(uint32_t x) {
  return __builtin_ctz(x);
}

#define a_ctz_64 a_ctz_64
static inline int a_ctz_64(uint64_t x) {
  return __builtin_ctzll(x);
}

/* Address 0 is ordinary memory here: a store to it would go unnoticed. */
#define a_crash a_crash
static inline void a_crash(void) {
  __builtin_trap();
}
