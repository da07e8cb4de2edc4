// Each program calls Measure around its work and prints `seconds checksum`; the best of several rounds counts.
#ifndef CORDON_BENCH_ENGINE_TIMING_H_
#define CORDON_BENCH_ENGINE_TIMING_H_

#include <stdint.h>
#include <stdio.h>
#include <time.h>

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int Measure(uint64_t (*work)(void)) {
  double best = 1e9;
  uint64_t sum = 0;
  for (int round = 0; round < 5; ++round) {
    const double start = Now();
    sum = work();
    const double elapsed = Now() - start;
    if (elapsed < best) best = elapsed;
  }
  printf("%.6f %llx\n", best, (unsigned long long)sum);
  return 0;
}

#endif  // CORDON_BENCH_ENGINE_TIMING_H_
