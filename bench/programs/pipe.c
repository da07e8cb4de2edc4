// Throughput of a pipe between two processes, 64 KiB writes: MB/s.
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char buffer[65536];

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

int main(void) {
  enum { kWrites = 32768 };
  int ends[2];
  if (pipe(ends) != 0) return 1;
  const double start = seconds();
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    memset(buffer, 'x', sizeof buffer);
    for (int i = 0; i < kWrites; ++i) {
      if (write(ends[1], buffer, sizeof buffer) != (ssize_t)sizeof buffer) _exit(1);
    }
    _exit(0);
  }
  close(ends[1]);
  long long total = 0;
  ssize_t got;
  while ((got = read(ends[0], buffer, sizeof buffer)) > 0) total += got;
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) return 1;
  if (total != (long long)kWrites * (long long)sizeof buffer) return 1;
  printf("%.0f\n", total / (seconds() - start) / 1e6);
  return 0;
}
