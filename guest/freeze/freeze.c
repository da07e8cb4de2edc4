#include "freeze.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

/* Options of prctl that are Cordon's own (src/kernel/freeze.h). */
#define FREEZE 0x43460001
#define START_OVER 0x43460002

__attribute__((__import_module__("cordon"), __import_name__("startup_size"))) long
__cordon_startup_size(void);
__attribute__((__import_module__("cordon"), __import_name__("startup_copy"))) long
__cordon_startup_copy(void*);

/* Of musl: everything that it takes from the start-up block. */
void __init_libc(char** envp, char* name);
void __init_ssp(void* entropy);

/* Of musl's allocator (src/malloc/mallocng/meta.h): each area of its records carries the secret, so
 * that a forged record is seen. */
struct meta_area {
  uint64_t check;
  struct meta_area* next;
  int slot_count;
};
struct malloc_context {
  uint64_t secret;
  size_t page_size;
  int is_initialised;
  unsigned mmap_counter;
  void* free_meta_head;
  void* avail_meta;
  size_t avail_meta_count, avail_meta_area_count, meta_alloc_shift;
  struct meta_area *meta_area_head, *meta_area_tail;
};
extern struct malloc_context __malloc_context;

extern char __stack_low;

static int (*resume)(int, char**, char**);

static void set_malloc_secret(uint64_t secret) {
  __malloc_context.secret = secret;
  for (struct meta_area* area = __malloc_context.meta_area_head; area; area = area->next) area->check = secret;
}

/* What the libc has of this process: it is made anew when the program goes on, and must not make two images of the same
 * program differ. Nothing may allocate from here on. */
static void forget_randomness(void) {
  memset((void*)getauxval(AT_RANDOM), 0, 16);
  __init_ssp((void*)getauxval(AT_RANDOM));
  set_malloc_secret(0);
}

int cordon_freezes(void) {
  return getenv("CORDON_FREEZE") != NULL;
}

/* What frames that are gone left on the stack would only make the image larger. */
__attribute__((__noinline__)) static void clear_unused_stack(void) {
  volatile char* to = (char*)__builtin_frame_address(0) - 256;
  for (volatile char* at = &__stack_low; at < to; ++at) *at = 0;
}

_Noreturn void cordon_freeze(int (*go_on)(int, char**, char**)) {
  resume = go_on;
  forget_randomness();
  clear_unused_stack();
  _exit(prctl(FREEZE, STDOUT_FILENO, 0, 0, 0) == 0 ? 0 : 1);
}

_Noreturn void cordon_start_over(void) {
  prctl(START_OVER, 0, 0, 0, 0);
  abort();
}

__attribute__((__export_name__("__cordon_resume"))) void __cordon_resume(void) {
  size_t size = (size_t)__cordon_startup_size();
  long* block = __builtin_alloca_with_align((size + 15) & ~(size_t)15, 128);
  __cordon_startup_copy(block);
  int argc = (int)block[0];
  char** argv = (char**)(block + 1);
  __init_libc(argv + argc + 1, argv[0]);
  uint64_t secret;
  if (getrandom(&secret, sizeof secret, 0) != sizeof secret) abort();
  set_malloc_secret(secret);
  exit(resume(argc, argv, argv + argc + 1));
}
