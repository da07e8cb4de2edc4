#include "timing.h"

enum { kSize = 400, kIterations = 200 };
static uint64_t Work(void) {
  uint64_t inside = 0;
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x) {
      const double cr = 2.0 * x / kSize - 1.5;
      const double ci = 2.0 * y / kSize - 1.0;
      double zr = 0, zi = 0;
      int i = 0;
      while (i < kIterations && zr * zr + zi * zi < 4.0) {
        const double next = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci;
        zr = next;
        ++i;
      }
      inside += (uint64_t)i;
    }
  }
  return inside;
}
int main(void) { return Measure(Work); }
