#include "timing.h"

enum { kCount = 400000 };
static uint32_t values[kCount];

static void Sift(uint32_t start, uint32_t end) {
  uint32_t root = start;
  while (2 * root + 1 < end) {
    uint32_t child = 2 * root + 1;
    if (child + 1 < end && values[child] < values[child + 1]) ++child;
    if (values[root] >= values[child]) return;
    const uint32_t swap = values[root];
    values[root] = values[child];
    values[child] = swap;
    root = child;
  }
}

static uint64_t Work(void) {
  uint32_t seed = 12345;
  for (int i = 0; i < kCount; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = seed;
  }
  for (uint32_t i = kCount / 2; i-- > 0;) Sift(i, kCount);
  for (uint32_t end = kCount; end-- > 1;) {
    const uint32_t swap = values[0];
    values[0] = values[end];
    values[end] = swap;
    Sift(0, end);
  }
  uint64_t sum = 0;
  for (int i = 0; i < kCount; ++i) sum = sum * 31 + values[i];
  return sum;
}
int main(void) { return Measure(Work); }
