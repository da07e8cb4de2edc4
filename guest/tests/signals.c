// Handlers, masks, timers, jumps out of handlers: one line for each fact that was seen.
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t seen;
static volatile sig_atomic_t sender;
static sigjmp_buf out;

static void count(int sig) {
  seen = seen * 100 + sig;
}

static void with_info(int sig, siginfo_t* info, void* context) {
  seen = info->si_signo == sig && context != NULL ? sig : -1;
  sender = info->si_pid;
}

static void leave(int sig) {
  siglongjmp(out, sig);
}

static void install(int sig, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigemptyset(&action.sa_mask);
  if (sigaction(sig, &action, NULL) != 0) perror("sigaction");
}

static void handler_runs(void) {
  install(SIGUSR1, count, 0);
  seen = 0;
  raise(SIGUSR1);
  printf("raise: handler saw %d\n", (int)seen);
  struct sigaction action = {.sa_sigaction = with_info, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR2, &action, NULL);
  kill(getpid(), SIGUSR2);
  printf("SA_SIGINFO: handler saw %d from %s\n", (int)seen,
         sender == getpid() ? "ourselves" : "somebody else");
}

static void mask_holds_back(void) {
  sigset_t set, old, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, &old);
  seen = 0;
  raise(SIGUSR1);
  sigpending(&pending);
  printf("blocked: seen %d, pending %d\n", (int)seen, sigismember(&pending, SIGUSR1));
  sigprocmask(SIG_SETMASK, &old, NULL);
  printf("unblocked: seen %d\n", (int)seen);
}

static void interrupts_a_loop(void) {
  install(SIGALRM, count, 0);
  struct itimerval soon = {.it_value = {.tv_usec = 50000}};
  seen = 0;
  setitimer(ITIMER_REAL, &soon, NULL);
  unsigned long turns = 0;
  while (seen == 0) turns++;
  printf("endless loop: left by signal %d after %s turns\n", (int)seen, turns > 0 ? "many" : "no");
}

static void interrupts_a_call(void) {
  int ends[2];
  char byte;
  if (pipe(ends) != 0) perror("pipe");
  struct itimerval soon = {.it_value = {.tv_usec = 50000}};
  setitimer(ITIMER_REAL, &soon, NULL);
  errno = 0;
  ssize_t n = read(ends[0], &byte, 1);
  printf("read: %d %s\n", (int)n, strerror(errno));
  close(ends[0]);
  close(ends[1]);
}

/* A function of its own: the compiler watches for jumps only around calls. */
static __attribute__((noinline)) void spin(void) {
  for (volatile unsigned long turns = 0;; turns++) {
  }
}

static void jumps_out(void) {
  install(SIGALRM, leave, 0);
  for (int i = 0; i < 2; i++) {
    struct itimerval soon = {.it_value = {.tv_usec = 20000}};
    int sig = sigsetjmp(out, 1);
    if (sig == 0) {
      setitimer(ITIMER_REAL, &soon, NULL);
      spin();
    }
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    printf("siglongjmp: %d, still blocked %d\n", sig, sigismember(&mask, SIGALRM));
  }
}

static void child_ends(void) {
  install(SIGCHLD, count, SA_RESTART);
  seen = 0;
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) _exit(3);
  int status = 0;
  pid_t waited = waitpid(pid, &status, 0);
  printf("SIGCHLD: %d, waited %s, status %d\n", (int)seen, waited == pid ? "yes" : "no",
         WEXITSTATUS(status));
  install(SIGCHLD, SIG_DFL, 0);
}

static void default_action(void) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    pause();
    _exit(0);
  }
  kill(pid, SIGSTOP);
  int status = 0;
  waitpid(pid, &status, WUNTRACED);
  printf("stopped: %d by %d\n", WIFSTOPPED(status), WIFSTOPPED(status) ? WSTOPSIG(status) : 0);
  kill(pid, SIGCONT);
  kill(pid, SIGTERM);
  waitpid(pid, &status, 0);
  printf("killed: %d by %d\n", WIFSIGNALED(status), WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

// A stop without a handler is no interruption: the call goes on, and not from its beginning.
static void sleeps_through_a_stop(void) {
  enum { kMs = 1000000 };
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    struct timespec before, after, wanted = {.tv_sec = 1};
    clock_gettime(CLOCK_MONOTONIC, &before);
    int slept = nanosleep(&wanted, NULL);
    int polled = poll(NULL, 0, 1000);
    clock_gettime(CLOCK_MONOTONIC, &after);
    long ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / kMs;
    printf("stopped in their sleep: nanosleep %d, poll %d, too short %d, too long %d\n", slept, polled,
           ms < 2000, ms > 3000);
    fflush(stdout);
    _exit(0);
  }
  for (int i = 0; i < 2; i++) {
    usleep(900000);
    kill(pid, SIGSTOP);
    usleep(1000);
    kill(pid, SIGCONT);
    usleep(99000);
  }
  waitpid(pid, NULL, 0);
}

int main(void) {
  handler_runs();
  mask_holds_back();
  interrupts_a_loop();
  interrupts_a_call();
  jumps_out();
  child_ends();
  default_action();
  sleeps_through_a_stop();
  return 0;
}
