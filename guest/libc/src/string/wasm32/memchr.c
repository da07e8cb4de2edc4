#include <string.h>
#include <wasm_simd128.h>

/* Sixteen bytes at a time from aligned addresses: such a load never leaves a page, so it may begin before and end behind
   the bytes that were asked about. */
void* memchr(const void* source, int c, size_t n) {
  if (n == 0) return 0;
  const v128_t wanted = wasm_i8x16_splat((signed char)c);
  const unsigned char* from = source;
  const unsigned char* at = (const unsigned char*)((size_t)from & ~(size_t)15);
  const unsigned skip = (unsigned)(from - at);
  unsigned found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(at), wanted)) >> skip << skip;
  /* Where the last byte lies; a range to the end of memory does not wrap. */
  const size_t last = n - 1 > (size_t)-1 - (size_t)from ? (size_t)-1 : (size_t)from + (n - 1);
  while (found == 0) {
    if (last - (size_t)at < 16) return 0;
    at += 16;
    found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(at), wanted));
  }
  const unsigned char* hit = at + __builtin_ctz(found);
  return (size_t)hit <= last ? (void*)hit : 0;
}
