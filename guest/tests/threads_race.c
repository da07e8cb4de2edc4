// What an attacker does with two threads: one changes the arguments of calls, and takes away the memory they are in, while
// the other makes them. Every call may fail; the kernel must stay whole. Argument: seconds.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kPage = 4096 };

// Everything that the calls look at, on pages of its own.
struct arguments {
  struct iovec parts[8];
  struct msghdr message;
  char control[256];
  char path[64];
  struct pollfd polls[8];
  struct epoll_event events[8];
  struct sockaddr_storage address;
  socklen_t address_size;
  char bytes[2 * kPage];
};
static struct arguments* shared;
static volatile int stop;
// What is passed on: a number that one thread closes, and gets again for one of these, may be another's pipe.
static int nothing[2];

static void set_good(struct arguments* a) {
  for (int i = 0; i < 8; ++i) {
    a->parts[i] = (struct iovec){a->bytes + 100 * i, 100};
    a->polls[i] = (struct pollfd){i, POLLIN | POLLOUT, 0};
  }
  a->message = (struct msghdr){.msg_iov = a->parts, .msg_iovlen = 8, .msg_control = a->control,
                               .msg_controllen = CMSG_SPACE(2 * sizeof(int))};
  struct cmsghdr* header = (struct cmsghdr*)a->control;
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(2 * sizeof(int));
  memcpy(CMSG_DATA(header), nothing, sizeof nothing);
  strcpy(a->path, "/tmp/race");
  a->address_size = sizeof a->address;
}

static void* change(void* arg) {
  unsigned state = (unsigned)(long)arg;
  while (!stop) {
    state = state * 1103515245u + 12345u;
    struct arguments* a = shared;
    switch (state >> 16 & 7) {
      case 0:
        a->parts[state >> 20 & 7].iov_len = 0xfffffff0u;
        break;
      case 1:
        a->parts[state >> 20 & 7].iov_base = (void*)0xffff0000u;
        break;
      case 2:
        a->message.msg_iovlen = 0x7fffffff;
        a->message.msg_controllen = 0x7fffffff;
        break;
      case 3:
        ((struct cmsghdr*)a->control)->cmsg_len = state;
        memset(CMSG_DATA((struct cmsghdr*)a->control), (int)(state >> 24), 8);
        break;
      case 4:
        // No zero at the end of the page.
        memset(a->path, 'a', sizeof a->path);
        a->address_size = state;
        break;
      case 5:
        mprotect((void*)a, kPage, PROT_NONE);
        mprotect((void*)a, kPage, PROT_READ | PROT_WRITE);
        break;
      case 6:
        // Gone, and there again as zeros.
        mmap((void*)a, sizeof *a, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        break;
      default:
        set_good(a);
        break;
    }
  }
  return NULL;
}

static void call_all(int ends[2], int sockets[2], int epoll) {
  struct arguments* a = shared;
  (void)!writev(ends[1], a->parts, 8);
  (void)!readv(ends[0], a->parts, 8);
  sendmsg(sockets[0], &a->message, MSG_DONTWAIT);
  recvmsg(sockets[1], &a->message, MSG_DONTWAIT);
  const int fd = open(a->path, O_RDWR | O_CREAT, 0600);
  if (fd >= 0) {
    (void)!pwritev(fd, a->parts, 8, 0);
    (void)!preadv(fd, a->parts, 8, 0);
    close(fd);
  }
  struct stat status;
  stat(a->path, &status);
  rename(a->path, "/tmp/renamed");
  unlink("/tmp/renamed");
  poll(a->polls, 8, 0);
  epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], a->events);
  epoll_wait(epoll, a->events, 8, 0);
  epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], a->events);
  getsockname(sockets[0], (struct sockaddr*)&a->address, &a->address_size);
  mremap(a->bytes + kPage, kPage, kPage, MREMAP_MAYMOVE);
  // What it received, whatever that was.
  for (int i = 16; i < 64; ++i) close(i);
}

static void* call(void* arg) {
  int ends[2];
  int sockets[2];
  (void)arg;
  if (pipe2(ends, O_NONBLOCK) != 0 || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sockets) != 0) return NULL;
  const int epoll = epoll_create1(0);
  while (!stop) call_all(ends, sockets, epoll);
  return NULL;
}

// A caller or a changer may meet memory that is not there: the process ends, and the first one goes on.
static void one_round(void) {
  const long bytes = (sizeof(struct arguments) + kPage - 1) / kPage * kPage;
  shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  set_good(shared);
  pthread_t threads[3];
  pthread_create(&threads[0], NULL, change, (void*)(long)(getpid() + time(NULL)));
  pthread_create(&threads[1], NULL, call, NULL);
  pthread_create(&threads[2], NULL, call, NULL);
  usleep(300000);
  stop = 1;
  for (int i = 0; i < 3; ++i) pthread_join(threads[i], NULL);
  exit(0);
}

int main(int argc, char** argv) {
  const time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 3);
  signal(SIGPIPE, SIG_IGN);
  for (int i = 0; i < 2; ++i) nothing[i] = open("/dev/null", O_RDWR);
  while (time(NULL) < end) {
    const pid_t pid = fork();
    if (pid == 0) one_round();
    waitpid(pid, NULL, 0);
  }
  printf("still here\n");
  return 0;
}
