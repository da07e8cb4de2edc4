#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "named_semaphore.h"

char* __shm_mapname(const char*, char*);

enum { kFlags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK };

static int fill(int fd, unsigned value) {
  static const char units[256];
  while (value > 0) {
    size_t part = value < sizeof units ? value : sizeof units;
    ssize_t put = write(fd, units, part);
    if (put <= 0) return -1;
    value -= (unsigned)put;
  }
  return 0;
}

/* A FIFO that has its name only when it has its units; -1 with EEXIST if somebody was quicker. */
static int create(const char* name, mode_t mode, unsigned value) {
  char temporary[64];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(temporary, sizeof temporary, "/dev/shm/.semaphore-%d-%ld", (int)getpid(), now.tv_nsec);
  if (mkfifo(temporary, mode & 0666) != 0) return -1;
  int fd = open(temporary, kFlags);
  int failed = fd < 0 || fill(fd, value) != 0 || link(temporary, name) != 0 ? errno : 0;
  unlink(temporary);
  if (failed && fd >= 0) close(fd);
  errno = failed;
  return failed ? -1 : fd;
}

static int open_or_create(const char* name, int flags, mode_t mode, unsigned value) {
  for (;;) {
    if (!(flags & O_CREAT) || !(flags & O_EXCL)) {
      int fd = open(name, kFlags);
      if (fd >= 0 || errno != ENOENT || !(flags & O_CREAT)) return fd;
    }
    int fd = create(name, mode, value);
    if (fd >= 0 || errno != EEXIST || (flags & O_EXCL)) return fd;
  }
}

sem_t* sem_open(const char* name, int flags, ...) {
  char path[NAME_MAX + 10];
  if (!(name = __shm_mapname(name, path))) return SEM_FAILED;
  mode_t mode = 0;
  unsigned value = 0;
  if (flags & O_CREAT) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    value = va_arg(rest, unsigned);
    va_end(rest);
  }
  if (value > SEM_VALUE_MAX) {
    errno = EINVAL;
    return SEM_FAILED;
  }
  sem_t* sem = calloc(1, sizeof *sem);
  if (!sem) return SEM_FAILED;
  int cancel;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  int fd = open_or_create(name, flags, mode, value);
  pthread_setcancelstate(cancel, 0);
  if (fd < 0) {
    free(sem);
    return SEM_FAILED;
  }
  sem->__val[2] = NAMED;
  FIFO_OF(sem) = fd;
  return sem;
}

int sem_close(sem_t* sem) {
  close(FIFO_OF(sem));
  free(sem);
  return 0;
}
