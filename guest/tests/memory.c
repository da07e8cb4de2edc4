// Memory, jumps, files in memory, polling, time: one line for each fact that was seen.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static jmp_buf back;

static _Noreturn void deep(int levels) {
  volatile char frame[64];
  frame[0] = (char)levels;
  if (levels == 0) longjmp(back, 42);
  deep(levels - 1 + (frame[0] & 0));
}

static void jumps(void) {
  volatile int kept = 1;
  int value = setjmp(back);
  if (value == 0) {
    kept = 2;
    deep(1000);
  }
  printf("longjmp: value %d, variable %d\n", value, kept);
}

// Of the one thread: with a value, and zero; a fork copies them.
static _Thread_local int valued = 40;
static _Thread_local int counters[100];

static void thread_locals(void) {
  valued += 2;
  counters[99] = valued;
  const pid_t child = fork();
  if (child == 0) _exit(++counters[99] + valued + counters[0]);
  int status = 0;
  waitpid(child, &status, 0);
  printf("thread-local: %d, %d, in a child %d\n", valued, counters[99], WEXITSTATUS(status));
}

static void maps(void) {
  size_t size = 16 * 4096;
  unsigned char* area =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) {
    perror("mmap");
    return;
  }
  int zero = 1;
  for (size_t i = 0; i < size; i++) zero &= area[i] == 0;
  memset(area, 7, size);
  unsigned char* bigger = mremap(area, size, 4 * size, MREMAP_MAYMOVE);
  printf("mmap: zero %d, aligned %d, grown %s\n", zero, (unsigned)area % 4096 == 0,
         bigger != MAP_FAILED && bigger[size - 1] == 7 && bigger[size] == 0 ? "yes" : "no");
  printf("munmap: %d\n", munmap(bigger, 4 * size));
  void* blocks[100];
  for (int i = 0; i < 100; i++) blocks[i] = malloc((size_t)i * 5000);
  for (int i = 0; i < 100; i++) free(blocks[i]);
  printf("malloc of 2 GiB: %s\n", malloc(0x80000000u) ? "given" : strerror(errno));
}

// Memory that was given back is zero when it comes again, and no two areas share any.
static void reuse(void) {
  enum { kSlots = 24, kRounds = 4000, kPage = 4096 };
  struct {
    unsigned char* area;
    unsigned pages;
  } slots[kSlots] = {0};
  unsigned random = 1, dirty = 0, mixed = 0, failed = 0;
  for (unsigned round = 0; round < kRounds; round++) {
    random = random * 1103515245u + 12345u;
    unsigned slot = random >> 16 & 0xff, pages = 1 + (random >> 24) % 60, mark = 1 + slot % kSlots;
    slot %= kSlots;
    if (slots[slot].area == NULL) {
      unsigned char* area =
          mmap(NULL, pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (area == MAP_FAILED) {
        failed++;
        continue;
      }
      for (unsigned i = 0; i < pages * kPage; i += 64) dirty += area[i] != 0;
      memset(area, (int)mark, pages * kPage);
      slots[slot].area = area;
      slots[slot].pages = pages;
      continue;
    }
    for (unsigned i = 0; i < slots[slot].pages * kPage; i += 64) mixed += slots[slot].area[i] != mark;
    if (random % 5 == 0) failed += mprotect(slots[slot].area, kPage, PROT_READ) != 0;
    if (random % 7 == 0 && slots[slot].pages > 2) {  // in two pieces
      failed += munmap(slots[slot].area, kPage) != 0;
      failed += munmap(slots[slot].area + kPage, (slots[slot].pages - 1) * kPage) != 0;
    } else {
      failed += munmap(slots[slot].area, slots[slot].pages * kPage) != 0;
    }
    slots[slot].area = NULL;
  }
  printf("reuse: dirty %u, mixed %u, failed %u\n", dirty, mixed, failed);
}

static void file_maps(void) {
  char path[] = "/tmp/map.XXXXXX";
  int fd = mkstemp(path);
  if (fd < 0 || write(fd, "mapped text", 11) != 11) {
    perror("mkstemp");
    return;
  }
  char* text = mmap(NULL, 11, PROT_READ, MAP_PRIVATE, fd, 0);
  struct stat st;
  fstat(fd, &st);
  printf("file map: %.11s, size %lld, mode %o, links %u\n", text == MAP_FAILED ? "failed" : text,
         (long long)st.st_size, (unsigned)st.st_mode, (unsigned)st.st_nlink);
  unlink(path);
  fstat(fd, &st);
  printf("unlinked: links %u, still readable %d\n", (unsigned)st.st_nlink,
         (int)pread(fd, path, 6, 0));
  close(fd);
}

static void polls(void) {
  int ends[2];
  if (pipe(ends) != 0) {
    perror("pipe");
    return;
  }
  struct pollfd both[2] = {{.fd = ends[0], .events = POLLIN}, {.fd = ends[1], .events = POLLOUT}};
  int ready = poll(both, 2, 0);
  printf("poll: %d, reader %x, writer %x\n", ready, both[0].revents, both[1].revents);
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  ready = poll(both, 1, 30);
  clock_gettime(CLOCK_MONOTONIC, &after);
  long ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
  printf("poll with time-out: %d, waited %s\n", ready, ms >= 29 && ms < 1000 ? "30 ms" : "wrongly");
  (void)!write(ends[1], "abc", 3);
  close(ends[1]);
  int waiting = 0;
  ioctl(ends[0], FIONREAD, &waiting);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(ends[0], &set);
  ready = select(ends[0] + 1, &set, NULL, NULL, &(struct timeval){0});
  printf("select: %d, waiting %d\n", ready, waiting);
  poll(both, 1, 0);
  printf("poll at the end: in %d, hang-up %d\n", !!(both[0].revents & POLLIN),
         !!(both[0].revents & POLLHUP));
  close(ends[0]);
}

static void times(void) {
  struct timespec now, resolution;
  clock_gettime(CLOCK_REALTIME, &now);
  clock_getres(CLOCK_REALTIME, &resolution);
  char text[32];
  struct tm tm;
  time_t moment = 1700000000;
  strftime(text, sizeof text, "%F %T", gmtime_r(&moment, &tm));
  printf("time: after 2023 %d, fine %d, %s\n", now.tv_sec > moment, resolution.tv_sec == 0, text);
  nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  printf("cpu time counts: %d\n", clock() >= 0);
}

static void numbers(void) {
  printf("printf: %.17g %Lf %a %lld %zu\n", 0.1, 1.5L, 1.0, -(1LL << 62), sizeof(long double));
  printf("strtod: %g, strtold: %Lg\n", strtod("1e-3", NULL), strtold("2.5e10", NULL));
}

int main(void) {
  jumps();
  thread_locals();
  maps();
  reuse();
  file_maps();
  polls();
  times();
  numbers();
  return 0;
}
