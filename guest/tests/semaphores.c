/* Named semaphores between processes and threads: counting, waiting, time limits, names. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(what)                                                \
  do {                                                             \
    if (!(what)) {                                                 \
      printf("%d: %s (%s)\n", __LINE__, #what, strerror(errno));   \
      exit(1);                                                     \
    }                                                              \
  } while (0)

static int value_of(sem_t* sem) {
  int value = -1;
  CHECK(sem_getvalue(sem, &value) == 0);
  return value;
}

static struct timespec after_ms(long ms) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  at.tv_nsec += ms * 1000000;
  at.tv_sec += at.tv_nsec / 1000000000;
  at.tv_nsec %= 1000000000;
  return at;
}

static void names(void) {
  CHECK(sem_open("/a", 0) == SEM_FAILED && errno == ENOENT);
  CHECK(sem_open("/a", O_CREAT, 0600, (unsigned)SEM_VALUE_MAX + 1) == SEM_FAILED && errno == EINVAL);
  sem_t* sem = sem_open("/a", O_CREAT | O_EXCL, 0600, 3);
  CHECK(sem != SEM_FAILED && value_of(sem) == 3);
  CHECK(sem_open("/a", O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED && errno == EEXIST);
  sem_t* same = sem_open("/a", O_CREAT, 0600, 1);
  CHECK(same != SEM_FAILED && value_of(same) == 3);
  CHECK(sem_post(same) == 0 && value_of(sem) == 4);
  CHECK(sem_unlink("/a") == 0 && sem_open("/a", 0) == SEM_FAILED);
  CHECK(sem_wait(sem) == 0 && value_of(same) == 3);
  CHECK(sem_close(sem) == 0 && sem_close(same) == 0);
}

static void limits(void) {
  sem_t* sem = sem_open("/b", O_CREAT | O_EXCL, 0600, SEM_VALUE_MAX);
  CHECK(sem != SEM_FAILED && sem_unlink("/b") == 0);
  CHECK(sem_post(sem) == -1 && errno == EOVERFLOW);
  CHECK(sem_wait(sem) == 0 && sem_post(sem) == 0 && value_of(sem) == SEM_VALUE_MAX);
  sem_close(sem);
  sem = sem_open("/b", O_CREAT | O_EXCL, 0600, 0);
  CHECK(sem != SEM_FAILED && sem_unlink("/b") == 0);
  CHECK(sem_trywait(sem) == -1 && errno == EAGAIN);
  struct timespec at = after_ms(30), bad = {at.tv_sec, 1000000000};
  CHECK(sem_timedwait(sem, &at) == -1 && errno == ETIMEDOUT);
  CHECK(sem_timedwait(sem, &bad) == -1 && errno == EINVAL);
  sem_close(sem);
}

/* As a lock around a file that processes change; without it some of their changes would be lost. */
static void processes(void) {
  enum { kProcesses = 5, kTimes = 60 };
  sem_t* sem = sem_open("/c", O_CREAT | O_EXCL, 0600, 1);
  CHECK(sem != SEM_FAILED && sem_unlink("/c") == 0);
  int fd = open("/tmp/counter", O_RDWR | O_CREAT, 0600), count = 0;
  CHECK(fd >= 0 && pwrite(fd, &count, sizeof count, 0) == sizeof count);
  for (int i = 0; i < kProcesses; ++i) {
    if (fork() != 0) continue;
    for (int j = 0; j < kTimes; ++j) {
      CHECK(sem_wait(sem) == 0);
      CHECK(pread(fd, &count, sizeof count, 0) == sizeof count);
      ++count;
      usleep(1);
      CHECK(pwrite(fd, &count, sizeof count, 0) == sizeof count);
      CHECK(sem_post(sem) == 0);
    }
    _exit(0);
  }
  for (int i = 0, status; i < kProcesses; ++i) CHECK(wait(&status) > 0 && status == 0);
  CHECK(pread(fd, &count, sizeof count, 0) == sizeof count && count == kProcesses * kTimes);
  sem_close(sem);
}

static void* post_later(void* sem) {
  usleep(20000);
  sem_post(sem);
  return NULL;
}

/* Also those without a name, which stay as they were. */
static void threads(void) {
  sem_t own;
  CHECK(sem_init(&own, 0, 0) == 0);
  sem_t* named = sem_open("/d", O_CREAT | O_EXCL, 0600, 0);
  CHECK(named != SEM_FAILED && sem_unlink("/d") == 0);
  sem_t* both[] = {&own, named};
  for (int i = 0; i < 2; ++i) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, post_later, both[i]) == 0);
    struct timespec at = after_ms(5000);
    CHECK((i == 0 ? sem_wait(both[i]) : sem_timedwait(both[i], &at)) == 0 && value_of(both[i]) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
  }
  CHECK(sem_close(named) == 0 && sem_destroy(&own) == 0);
}

int main(void) {
  names();
  limits();
  processes();
  threads();
  puts("all");
  return 0;
}
