#include <string.h>
#include <wasm_simd128.h>

/* Backwards, sixteen aligned bytes at a time, as memchr. */
void* __memrchr(const void* source, int c, size_t n) {
  if (n == 0) return 0;
  const v128_t wanted = wasm_i8x16_splat((signed char)c);
  const unsigned char* from = source;
  const unsigned char* last = from + (n - 1);
  const unsigned char* at = (const unsigned char*)((size_t)last & ~(size_t)15);
  const unsigned beyond = 15 - (unsigned)(last - at);
  unsigned found = (wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(at), wanted)) << beyond & 0xffff) >> beyond;
  while (found == 0) {
    if (at <= from) return 0;
    at -= 16;
    found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(at), wanted));
  }
  const unsigned char* hit = at + (31 - __builtin_clz(found));
  return hit >= from ? (void*)hit : 0;
}

weak_alias(__memrchr, memrchr);
