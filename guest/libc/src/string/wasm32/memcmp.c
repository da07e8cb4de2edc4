#include <string.h>
#include <wasm_simd128.h>

int memcmp(const void* a, const void* b, size_t n) {
  const unsigned char* left = a;
  const unsigned char* right = b;
  for (; n >= 16; left += 16, right += 16, n -= 16) {
    const unsigned same = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(left), wasm_v128_load(right)));
    if (same == 0xffff) continue;
    const unsigned at = (unsigned)__builtin_ctz(~same);
    return left[at] - right[at];
  }
  for (; n > 0; ++left, ++right, --n) {
    if (*left != *right) return *left - *right;
  }
  return 0;
}
