// poll with more descriptors than a process of the kernel has waiters for.
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { kPipes = 100 };

int main(void) {
  struct pollfd polled[kPipes];
  int last[2];
  for (int i = 0; i < kPipes; i++) {
    if (pipe(last) != 0) return 1;
    polled[i] = (struct pollfd){.fd = last[0], .events = POLLIN};
  }
  printf("at once: %d\n", poll(polled, kPipes, 0));
  printf("after a time: %d\n", poll(polled, kPipes, 50));
  if (fork() == 0) {
    usleep(100000);
    _exit(write(last[1], "x", 1) != 1);
  }
  printf("woken: %d, the last one: %d\n", poll(polled, kPipes, 10000),
         polled[kPipes - 1].revents == POLLIN);
  return 0;
}
