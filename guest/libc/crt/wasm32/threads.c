/* Linked into programs that make threads: thread-local variables are offsets from the module's global
 * __tls_base, and only the linker knows how many there are. */

#include <stddef.h>

void __wasm_init_tls(void*);

size_t __cordon_tls_size(void) {
  return __builtin_wasm_tls_size();
}

size_t __cordon_tls_align(void) {
  return __builtin_wasm_tls_align();
}

void __cordon_tls_init(void* block) {
  __wasm_init_tls(block);
}
