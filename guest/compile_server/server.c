// Preloaded into the compiler or the linker: the program stops before its main and runs it once for
// each request that comes over a socket, in a fork. Most of what a short run of clang takes is
// relocations of its libraries, 40 ms of 50; a fork has them already. Started as `PROGRAM SOCKET`;
// client.c asks. Ends with its parent.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "request.h"

enum { kMostRunning = 64, kListener = 0, kChildren = 1, kFirstRun = 2 };

typedef int Main(int count, char** words, char** environment);
typedef int Start(Main* program, int count, char** words, void (*init)(void), void (*fini)(void),
                  void (*loader_fini)(void), void* stack_end);

static Main* program_main;

struct Run {
  pid_t pid;
  int client;
};

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static int read_all(int fd, void* to, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t got = read(fd, (char*)to + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    done += (size_t)got;
  }
  return 0;
}

// The descriptors come with the first bytes.
static int receive_head(int fd, struct Head* head, int descriptors[kDescriptors]) {
  struct iovec part = {head, sizeof *head};
  char control[CMSG_SPACE(kDescriptors * sizeof(int))];
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL) != sizeof *head) return -1;
  const struct cmsghdr* given = CMSG_FIRSTHDR(&message);
  if (given == NULL || given->cmsg_type != SCM_RIGHTS ||
      given->cmsg_len != CMSG_LEN(kDescriptors * sizeof(int)))
    return -1;
  memcpy(descriptors, CMSG_DATA(given), kDescriptors * sizeof(int));
  return 0;
}

// The words from `text` on, `count` of them, and a null at the end.
static char** split(char** text, uint32_t count) {
  char** words = calloc(count + 1, sizeof *words);
  for (uint32_t i = 0; words != NULL && i < count; ++i) {
    words[i] = *text;
    *text += strlen(*text) + 1;
  }
  return words;
}

static _Noreturn void run(const struct Head* head, char* text,
                          const int descriptors[kDescriptors]) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, 0);
  for (int i = 0; i < 3; ++i) {
    if (dup2(descriptors[i], i) < 0) _exit(125);
  }
  if (fchdir(descriptors[3]) != 0) _exit(125);
  close_range(3, ~0U, 0);
  umask(head->mask);
  char** words = split(&text, head->words);
  environ = split(&text, head->variables);
  if (words == NULL || environ == NULL) _exit(125);
  exit(program_main((int)head->words, words, environ));
}

// The new process, or -1 if the request is none.
static pid_t start(int client) {
  struct Head head;
  int descriptors[kDescriptors];
  if (receive_head(client, &head, descriptors) != 0) return -1;
  pid_t pid = -1;
  char* text = head.bytes > 0 && head.bytes < kMostBytes ? malloc(head.bytes) : NULL;
  if (text != NULL && read_all(client, text, head.bytes) == 0 && text[head.bytes - 1] == 0) {
    pid = fork();
    if (pid == 0) run(&head, text, descriptors);
  }
  free(text);
  for (int i = 0; i < kDescriptors; ++i) close(descriptors[i]);
  return pid;
}

static void reap(struct Run* runs, int signals) {
  struct signalfd_siginfo ignored;
  while (read(signals, &ignored, sizeof ignored) > 0) {
  }
  int status = 0;
  pid_t pid = 0;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    for (int i = 0; i < kMostRunning; ++i) {
      if (runs[i].pid != pid) continue;
      if (write(runs[i].client, &status, sizeof status) < 0) perror("write");
      close(runs[i].client);
      runs[i] = (struct Run){0, -1};
    }
  }
}

static void accept_one(struct Run* runs, int listener) {
  int place = 0;
  while (place < kMostRunning && runs[place].pid != 0) ++place;
  if (place == kMostRunning) return;  // until one ends
  const int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (client < 0) return;
  const pid_t pid = start(client);
  if (pid > 0) {
    runs[place] = (struct Run){pid, client};
  } else {
    close(client);
  }
}

static int serve(int count, char** words, char** environment) {
  (void)environment;
  if (count != 2) fail("one argument, the socket");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, words[1], sizeof address.sun_path - 1);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&address, sizeof address) != 0 ||
      listen(listener, 64) != 0)
    fail("listen");
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  const int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) fail("signalfd");
  struct Run runs[kMostRunning];
  for (int i = 0; i < kMostRunning; ++i) runs[i] = (struct Run){0, -1};
  for (;;) {
    struct pollfd polled[kFirstRun + kMostRunning] = {{listener, POLLIN, 0}, {signals, POLLIN, 0}};
    for (int i = 0; i < kMostRunning; ++i)
      polled[kFirstRun + i] = (struct pollfd){runs[i].client, 0, 0};
    if (poll(polled, kFirstRun + kMostRunning, -1) < 0 && errno != EINTR) fail("poll");
    // Whoever asked has gone.
    for (int i = 0; i < kMostRunning; ++i) {
      if ((polled[kFirstRun + i].revents & (POLLHUP | POLLERR)) != 0) kill(runs[i].pid, SIGKILL);
    }
    if (polled[kChildren].revents != 0) reap(runs, signals);
    if (polled[kListener].revents != 0) accept_one(runs, listener);
  }
}

// Called instead of the C library's by the program's start code.
int __libc_start_main(Main* program, int count, char** words, void (*init)(void),
                      void (*fini)(void), void (*loader_fini)(void), void* stack_end) {
  program_main = program;
  Start* next = (Start*)dlsym(RTLD_NEXT, "__libc_start_main");
  unsetenv("LD_PRELOAD");
  return next(serve, count, words, init, fini, loader_fini, stack_end);
}
