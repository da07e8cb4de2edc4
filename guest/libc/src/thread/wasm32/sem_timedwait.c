#define _GNU_SOURCE
#define sem_timedwait __cordon_unnamed_timedwait
#include "../sem_timedwait.c"
#undef sem_timedwait

#include <errno.h>
#include <poll.h>
#include <time.h>
#include "named_semaphore.h"

/* What is left until a time of day; 0, or an error. */
static int left_until(const struct timespec* at, struct timespec* left) {
  if (at->tv_nsec < 0 || at->tv_nsec >= 1000000000) return EINVAL;
  clock_gettime(CLOCK_REALTIME, left);
  left->tv_sec = at->tv_sec - left->tv_sec;
  left->tv_nsec = at->tv_nsec - left->tv_nsec;
  if (left->tv_nsec < 0) {
    left->tv_nsec += 1000000000;
    --left->tv_sec;
  }
  return left->tv_sec < 0 ? ETIMEDOUT : 0;
}

int sem_timedwait(sem_t* restrict sem, const struct timespec* restrict at) {
  if (!IS_NAMED(sem)) return __cordon_unnamed_timedwait(sem, at);
  struct pollfd readable = {.fd = FIFO_OF(sem), .events = POLLIN};
  while (sem_trywait(sem) != 0) {
    struct timespec left;
    if (errno != EAGAIN) return -1;
    int error = at ? left_until(at, &left) : 0;
    if (error) {
      errno = error;
      return -1;
    }
    if (ppoll(&readable, 1, at ? &left : 0, 0) < 0) return -1;
  }
  return 0;
}
