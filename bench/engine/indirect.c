#include "timing.h"

typedef uint32_t (*Step)(uint32_t);
static uint32_t Add(uint32_t x) { return x + 0x9e3779b9u; }
static uint32_t Rotate(uint32_t x) { return x << 7 | x >> 25; }
static uint32_t Mix(uint32_t x) { return x ^ x >> 15; }
static uint32_t Scale(uint32_t x) { return x * 2654435761u; }
static Step volatile table[4] = {Add, Rotate, Mix, Scale};

static uint64_t Work(void) {
  uint32_t x = 1;
  for (int i = 0; i < 30000000; ++i) x = table[(x >> 3) & 3](x);
  return x;
}
int main(void) { return Measure(Work); }
