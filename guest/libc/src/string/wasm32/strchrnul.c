#include <string.h>
#include <wasm_simd128.h>

/* Sixteen aligned bytes at a time, as memchr. */
char* __strchrnul(const char* s, int c) {
  const v128_t wanted = wasm_i8x16_splat((signed char)c);
  const v128_t zero = wasm_i8x16_splat(0);
  const char* at = (const char*)((size_t)s & ~(size_t)15);
  const unsigned skip = (unsigned)(s - at);
  v128_t bytes = wasm_v128_load(at);
  unsigned found =
      wasm_i8x16_bitmask(wasm_v128_or(wasm_i8x16_eq(bytes, wanted), wasm_i8x16_eq(bytes, zero))) >> skip << skip;
  while (found == 0) {
    at += 16;
    bytes = wasm_v128_load(at);
    found = wasm_i8x16_bitmask(wasm_v128_or(wasm_i8x16_eq(bytes, wanted), wasm_i8x16_eq(bytes, zero)));
  }
  return (char*)at + __builtin_ctz(found);
}

weak_alias(__strchrnul, strchrnul);
