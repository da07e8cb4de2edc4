// Asks to be frozen in states in which it cannot be. The kernel says why on standard error.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FREEZE 0x43460001

static void handler(int number) {
  (void)number;
}

static void* sleeper(void* argument) {
  pause();
  return argument;
}

int main(int argc, char** argv) {
  const char* state = argc > 1 ? argv[1] : "";
  if (strcmp(state, "descriptor") == 0) (void)open("/dev/null", O_RDONLY);
  if (strcmp(state, "signal") == 0) (void)signal(SIGUSR1, handler);
  if (strcmp(state, "mask") == 0) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
  }
  if (strcmp(state, "child") == 0 && fork() == 0) {
    for (int i = 0; i < 3; ++i) (void)close(i);  // nobody waits for its output
    pause();
    return 0;
  }
  pthread_t thread;
  if (strcmp(state, "thread") == 0) (void)pthread_create(&thread, NULL, sleeper, NULL);
  return prctl(FREEZE, STDOUT_FILENO, 0, 0, 0) == 0 ? 0 : 1;
}
