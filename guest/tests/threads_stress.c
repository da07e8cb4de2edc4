// Processes of several threads that do everything at once and are killed, stopped and continued at any time. Argument:
// seconds. The kernel's own check follows.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kProcesses = 8, kThreads = 5 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static unsigned next_of(unsigned* state) {
  return *state = *state * 1103515245u + 12345u, *state >> 16;
}

static void* nothing(void* arg) {
  return arg;
}

static void pass_bytes(void) {
  int ends[2];
  char bytes[3000];
  if (pipe(ends) != 0) return;
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  memset(bytes, 'x', sizeof bytes);
  for (int i = 0; i < 10; ++i) {
    if (write(ends[1], bytes, sizeof bytes) < 0 || read(ends[0], bytes, sizeof bytes) < 0) break;
  }
  close(ends[0]);
  close(ends[1]);
}

static void pass_files(void) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) return;
  char byte = 0;
  char space[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
  sendmsg(ends[0], &message, 0);
  sendmsg(ends[1], &message, 0);
  close(ends[0]);
  close(ends[1]);
}

static void fork_something(unsigned kind) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (kind % 3 == 0) execl("/bin/sh", "sh", "-c", ":", (char*)NULL);
    if (kind % 3 == 1) {
      pthread_t thread;
      if (pthread_create(&thread, NULL, nothing, NULL) == 0) pthread_join(thread, NULL);
    }
    _exit(0);
  }
  if (pid > 0) waitpid(pid, NULL, 0);
}

static void wait_a_little(void) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 1000000;
  if (until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, ++until.tv_sec;
  pthread_mutex_lock(&mutex);
  pthread_cond_timedwait(&cond, &mutex, &until);
  pthread_mutex_unlock(&mutex);
}

static void* work(void* arg) {
  unsigned state = (unsigned)(long)arg * 7919u + (unsigned)getpid();
  for (;;) {
    const unsigned kind = next_of(&state);
    switch (kind % 10) {
      case 0:
        pass_bytes();
        break;
      case 1:
        pass_files();
        break;
      case 2:
        // Whatever another thread has opened.
        close(3 + (int)(next_of(&state) % 10));
        break;
      case 3: {
        void* at = mmap(NULL, 200000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at != MAP_FAILED) memset(at, 1, 200000), munmap(at, 200000);
        break;
      }
      case 4:
        if (chdir(kind & 16 ? "/tmp" : "/") == 0) access("x", F_OK);
        break;
      case 5:
        wait_a_little();
        break;
      case 6:
        pthread_cond_broadcast(&cond);
        break;
      case 7:
        fork_something(kind / 16);
        break;
      case 8: {
        pthread_t thread;
        if (pthread_create(&thread, NULL, nothing, NULL) == 0) pthread_join(thread, NULL);
        break;
      }
      case 9: {
        struct pollfd polls[4] = {{3, POLLIN, 0}, {4, POLLOUT, 0}, {5, POLLIN, 0}, {6, POLLIN, 0}};
        poll(polls, 4, 1);
        if (next_of(&state) % 200 == 0) execl("/bin/sh", "sh", "-c", "exit 0", (char*)NULL);
        break;
      }
    }
  }
}

static pid_t begin(void) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  signal(SIGPIPE, SIG_IGN);
  pthread_t thread;
  for (long i = 0; i < kThreads; ++i) pthread_create(&thread, NULL, work, (void*)i);
  // Some processes are left by their first thread.
  if (getpid() % 3 == 0) pthread_exit(NULL);
  work((void*)99L);
  return 0;
}

int main(int argc, char** argv) {
  const time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
  pid_t pids[kProcesses];
  unsigned state = 1;
  int killed = 0;
  for (int i = 0; i < kProcesses; ++i) pids[i] = begin();
  while (time(NULL) < end) {
    usleep(next_of(&state) % 8000);
    const int i = (int)(next_of(&state) % kProcesses);
    switch (next_of(&state) % 4) {
      case 0:
        kill(pids[i], SIGSTOP);
        kill(pids[i], SIGCONT);
        break;
      case 1:
        kill(pids[i], SIGSTOP);
        kill(pids[i], SIGKILL);
        break;
      default:
        kill(pids[i], next_of(&state) % 2 ? SIGKILL : SIGTERM);
        break;
    }
    if (waitpid(pids[i], NULL, WNOHANG) == pids[i]) {
      ++killed;
      pids[i] = begin();
    }
  }
  for (int i = 0; i < kProcesses; ++i) {
    kill(pids[i], SIGKILL);
    waitpid(pids[i], NULL, 0);
  }
  while (wait(NULL) > 0) {
  }
  printf("%s\n", killed > 10 ? "many killed" : "few killed");
  return 0;
}
