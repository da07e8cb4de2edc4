// Times one kernel natively: best of several runs, in nanoseconds, and its result.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

unsigned KERNEL(unsigned scale);

int main(int argc, char** argv) {
  unsigned scale = argc > 1 ? (unsigned)atoi(argv[1]) : 8;
  int runs = argc > 2 ? atoi(argv[2]) : 7;
  double best = 1e30;
  unsigned result = 0;
  for (int i = 0; i < runs; i++) {
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    result = KERNEL(scale);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ns = (end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec);
    if (ns < best) best = ns;
  }
  printf("%.0f %u\n", best, result);
  return 0;
}
