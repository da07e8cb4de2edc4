#include <string.h>
#include <wasm_simd128.h>

/* Sixteen aligned bytes at a time, as memchr. */
size_t strlen(const char* s) {
  const char* at = (const char*)((size_t)s & ~(size_t)15);
  const unsigned skip = (unsigned)(s - at);
  const v128_t zero = wasm_i8x16_splat(0);
  unsigned found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(at), zero)) >> skip << skip;
  while (found == 0) {
    at += 16;
    found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(at), zero));
  }
  return (size_t)(at + __builtin_ctz(found) - s);
}
