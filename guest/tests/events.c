// epoll, eventfd, files without a name, queued signals, statx. Each set counts the facts that it has looked at; those
// that are wrong are printed. All of it is the same on Linux.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int facts, wrong;
static void fact(const char *text, int line, int holds) {
  ++facts;
  if (holds) return;
  ++wrong;
  printf("line %d: %s (errno %d)\n", line, text, errno);
}
#define FACT(x) fact(#x, __LINE__, (x))
#define FAILS(call, error) fact(#call " gives " #error, __LINE__, (errno = 0, (call) == -1 && errno == (error)))

static short ready(int fd, short events) {
  struct pollfd one = {.fd = fd, .events = events};
  return poll(&one, 1, 0) < 0 ? -1 : one.revents;
}

static void counters(void) {
  uint64_t value = 0;
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  FACT(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && ready(fd, POLLIN | POLLOUT) == POLLOUT);
  FAILS(read(fd, &value, 8), EAGAIN);
  FACT(eventfd_write(fd, 3) == 0 && eventfd_write(fd, 4) == 0 && ready(fd, POLLIN) == POLLIN);
  FACT(read(fd, &value, 8) == 8 && value == 7);
  FAILS(read(fd, &value, 4), EINVAL);
  FAILS(eventfd_write(fd, UINT64_MAX), EINVAL);
  FACT(eventfd_write(fd, UINT64_MAX - 1) == 0 && ready(fd, POLLIN | POLLOUT) == POLLIN);
  FAILS(eventfd_write(fd, 1), EAGAIN);
  close(fd);
  fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
  FACT(eventfd_read(fd, &value) == 0 && value == 1 && eventfd_read(fd, &value) == 0 && value == 1);
  FAILS(eventfd_read(fd, &value), EAGAIN);
  close(fd);
  fd = eventfd(0, 0);
  if (fork() == 0) {
    usleep(30000);
    _exit(eventfd_write(fd, 5) != 0);
  }
  FACT(eventfd_read(fd, &value) == 0 && value == 5 && wait(NULL) > 0);
  FAILS(eventfd(0, 77), EINVAL);
  char link[64] = "", path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  FACT(readlink(path, link, 63) > 0 && strcmp(link, "anon_inode:[eventfd]") == 0);
  close(fd);
}

static struct epoll_event events[64];
static int add(int epoll, int fd, uint32_t wanted) {
  struct epoll_event event = {.events = wanted, .data.fd = fd};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}
static int change(int epoll, int fd, uint32_t wanted) {
  struct epoll_event event = {.events = wanted, .data.fd = fd};
  return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}
static int take(int epoll, int timeout) { return epoll_wait(epoll, events, 64, timeout); }

static void nothing(int number) { (void)number; }

static void watching(void) {
  int s[2], ends[2];
  char text[64];
  int e = epoll_create1(EPOLL_CLOEXEC);
  FACT(e >= 0 && fcntl(e, F_GETFD) == FD_CLOEXEC && take(e, 0) == 0);
  FACT(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(ends) == 0);
  FACT(add(e, s[0], EPOLLIN) == 0 && add(e, ends[0], EPOLLIN) == 0);
  FAILS(add(e, s[0], EPOLLIN), EEXIST);
  FAILS(change(e, s[1], EPOLLIN), ENOENT);
  FAILS(epoll_ctl(e, EPOLL_CTL_DEL, s[1], NULL), ENOENT);
  FAILS(add(e, e, EPOLLIN), EINVAL);
  FAILS(add(s[0], s[1], EPOLLIN), EINVAL);
  FAILS(add(e, 99, EPOLLIN), EBADF);
  FAILS(epoll_ctl(e, 9, s[0], events), EINVAL);
  FAILS(epoll_wait(e, events, 0, 0), EINVAL);
  int file = open("file", O_RDWR | O_CREAT, 0600), null = open("/dev/null", O_RDWR);
  FAILS(add(e, file, EPOLLIN), EPERM);
  FAILS(add(e, null, EPOLLIN), EPERM);
  // Told of as long as it is so.
  FACT(take(e, 0) == 0 && ready(e, POLLIN) == 0 && write(s[1], "x", 1) == 1 && ready(e, POLLIN) == POLLIN);
  FACT(take(e, -1) == 1 && events[0].data.fd == s[0] && events[0].events == EPOLLIN && take(e, 0) == 1);
  FACT(write(ends[1], "y", 1) == 1 && take(e, 0) == 2);
  FACT(epoll_wait(e, events, 1, 0) == 1 && read(events[0].data.fd, text, 9) == 1 && take(e, 0) == 1);
  FACT(read(events[0].data.fd, text, 9) == 1 && take(e, 0) == 0);
  // Told once for each change.
  FACT(change(e, s[0], EPOLLIN | EPOLLET) == 0 && write(s[1], "ab", 2) == 2 && take(e, 0) == 1 && take(e, 0) == 0);
  FACT(read(s[0], text, 1) == 1 && take(e, 0) == 0 && write(s[1], "c", 1) == 1 && take(e, 0) == 1 && take(e, 0) == 0);
  // Told once, until it is asked for again.
  FACT(change(e, s[0], EPOLLIN | EPOLLONESHOT) == 0 && take(e, 0) == 1 && write(s[1], "d", 1) == 1 && take(e, 0) == 0);
  FACT(change(e, s[0], EPOLLIN | EPOLLOUT) == 0 && take(e, 0) == 1 && events[0].events == (EPOLLIN | EPOLLOUT));
  // A process waits until another one writes.
  FACT(change(e, s[0], EPOLLOUT) == 0 && epoll_ctl(e, EPOLL_CTL_DEL, s[0], NULL) == 0 && take(e, 0) == 0);
  if (fork() == 0) {
    usleep(30000);
    _exit(write(ends[1], "z", 1) != 1);
  }
  FACT(take(e, 5000) == 1 && events[0].data.fd == ends[0] && read(ends[0], text, 9) == 1 && wait(NULL) > 0);
  // The end of the writer; the watch goes with the last descriptor.
  FACT(close(ends[1]) == 0 && take(e, 0) == 1 && events[0].events == EPOLLHUP);
  int copy = dup(ends[0]);
  FACT(close(ends[0]) == 0 && take(e, 0) == 1 && close(copy) == 0 && take(e, 0) == 0);
  // So does one whose last holder is another process, while this one waits.
  FACT(pipe(ends) == 0 && add(e, ends[0], EPOLLIN) == 0);
  if (fork() == 0) {
    close(ends[1]);
    usleep(30000);
    _exit(0);
  }
  FACT(close(ends[0]) == 0 && take(e, 100) == 0 && wait(NULL) > 0);
  signal(SIGPIPE, SIG_IGN);
  FAILS(write(ends[1], "x", 1), EPIPE);
  close(ends[1]);
  // Room to write, edge triggered.
  static char block[65536];
  fcntl(s[0], F_SETFL, O_NONBLOCK), fcntl(s[1], F_SETFL, O_NONBLOCK);
  FACT(add(e, s[1], EPOLLOUT | EPOLLET) == 0 && take(e, 0) == 1 && take(e, 0) == 0);
  while (write(s[1], block, sizeof block) > 0) {}
  FACT(take(e, 0) == 0);
  while (read(s[0], block, sizeof block) > 0) {}
  FACT(take(e, 0) == 1 && take(e, 0) == 0 && close(s[0]) == 0 && take(e, 0) == 1);
  FACT((events[0].events & (EPOLLHUP | EPOLLOUT)) == (EPOLLHUP | EPOLLOUT));
  close(s[1]);
  // Time-out, signals, masks.
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  FACT(take(e, 50) == 0);
  clock_gettime(CLOCK_MONOTONIC, &to);
  FACT((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 >= 49);
  struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval timer = {.it_value = {0, 30000}};
  setitimer(ITIMER_REAL, &timer, NULL);
  FAILS(take(e, -1), EINTR);
  sigset_t blocked;
  sigemptyset(&blocked), sigaddset(&blocked, SIGALRM);
  setitimer(ITIMER_REAL, &timer, NULL);
  FACT(epoll_pwait(e, events, 64, 100, &blocked) == 0);
  close(e), close(file), close(null), unlink("file");
}

// Many descriptors, many waiting processes: each message is seen by exactly one.
static void crowd(void) {
  enum { kPairs = 100, kWorkers = 6 };
  static int s[kPairs][2];
  int e = epoll_create1(0), results[2];
  FACT(pipe(results) == 0);
  int made = 0, added = 0;
  for (int i = 0; i < kPairs; ++i) made += socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s[i]) == 0;
  for (int i = 0; i < kPairs; ++i) added += add(e, s[i][0], EPOLLIN | (i % 2 ? EPOLLET : 0)) == 0;
  FACT(made == kPairs && added == kPairs);
  for (int w = 0; w < kWorkers; ++w) {
    if (fork() != 0) continue;
    int got = 0;
    for (int n; (n = take(e, 400)) > 0;)
      for (int i = 0; i < n; ++i)
        for (char byte; read(events[i].data.fd, &byte, 1) == 1;) ++got;
    _exit(write(results[1], &got, sizeof got) != sizeof got);
  }
  int sent = 0;
  for (int i = 0; i < 3000; ++i) {
    sent += write(s[i * 7 % kPairs][1], "x", 1) == 1;
    if (i % 100 == 0) usleep(2000);
  }
  int total = 0, got = 0;
  for (int w = 0; w < kWorkers; ++w) FACT(read(results[0], &got, sizeof got) == sizeof got && (total += got) >= 0);
  FACT(total == sent && sent > 2000);
  while (wait(NULL) > 0) {}
}

static int queued_value, queued_code, queued_pid;
static void on_queued(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  queued_value = info->si_value.sival_int;
  queued_code = info->si_code;
  queued_pid = info->si_pid;
}

// struct statx, as far as it is looked at.
struct file_status {
  uint32_t mask, block_size;
  uint64_t attributes;
  uint32_t links, uid, gid;
  uint16_t mode, padding;
  uint64_t inode, size, blocks, rest[27];
};

#ifdef __wasm__
// The libc has no wrapper for it.
__attribute__((import_module("cordon"), import_name("statx"))) long raw_statx(long, long, long, long, long);
static int status_of(int fd, const char *path, int flags, struct file_status *out) {
  long result = raw_statx(fd, (long)path, flags, 0x7ff, (long)out);
  if (result < 0) errno = -result;
  return result < 0 ? -1 : 0;
}
#else
static int status_of(int fd, const char *path, int flags, struct file_status *out) {
  return syscall(SYS_statx, fd, path, flags, 0x7ff, out);
}
#endif

static void others(void) {
  char text[64] = "";
  struct stat status;
  int fd = memfd_create("scratch", MFD_CLOEXEC);
  FACT(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && write(fd, "contents", 8) == 8);
  FACT(fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 0 && status.st_size == 8);
  FACT(lseek(fd, 3, SEEK_SET) == 3 && read(fd, text, 64) == 5 && memcmp(text, "tents", 5) == 0);
  char *mapped = mmap(NULL, 8, PROT_READ, MAP_PRIVATE, fd, 0);
  FACT(mapped != MAP_FAILED && memcmp(mapped, "contents", 8) == 0 && ftruncate(fd, 2) == 0);
  FAILS(memfd_create("x", 0x800), EINVAL);
  FACT(syncfs(fd) == 0);
  FAILS(syncfs(99), EBADF);
  struct file_status more;
  FACT(status_of(fd, "", AT_EMPTY_PATH, &more) == 0 && more.size == 2 && S_ISREG(more.mode));
  FACT(status_of(AT_FDCWD, "/dev/null", 0, &more) == 0 && S_ISCHR(more.mode) && (more.mask & 0x7ff) == 0x7ff);
  FAILS(status_of(AT_FDCWD, "nothing", 0, &more), ENOENT);
  FAILS(status_of(AT_FDCWD, "/", 0xf0000, &more), EINVAL);
  close(fd);
  struct sigaction action = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO};
  sigaction(SIGRTMIN, &action, NULL);
  FACT(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 4711}) == 0);
  FACT(queued_value == 4711 && queued_code == SI_QUEUE && queued_pid == getpid());
  FAILS(sigqueue(99999, SIGRTMIN, (union sigval){0}), ESRCH);
  FAILS(sigqueue(getpid(), 99, (union sigval){0}), EINVAL);
  sigset_t set;
  siginfo_t info;
  sigemptyset(&set), sigaddset(&set, SIGUSR1), sigprocmask(SIG_BLOCK, &set, NULL);
  int child = fork();
  if (child == 0) _exit(sigqueue(getppid(), SIGUSR1, (union sigval){.sival_int = -5}) != 0);
  FACT(sigwaitinfo(&set, &info) == SIGUSR1 && info.si_value.sival_int == -5 && info.si_pid == child);
  wait(NULL);
}

int main(int argc, char **argv) {
  const char *set = argc > 1 ? argv[1] : "";
  if (!strcmp(set, "counters")) counters();
  if (!strcmp(set, "watching")) watching();
  if (!strcmp(set, "crowd")) crowd();
  if (!strcmp(set, "others")) others();
  printf("%d facts, %d wrong\n", facts, wrong);
  return wrong != 0;
}
