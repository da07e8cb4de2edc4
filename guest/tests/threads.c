// Threads of one process: what they share, how they wait, and how they end. One line for each fact.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kWorkers = 4, kRounds = 20000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static int counter;
static int turn;
static _Thread_local int local = 42;
static _Thread_local int zeroed;
static _Thread_local _Alignas(64) char aligned[64];

static void* count(void* arg) {
  for (int i = 0; i < kRounds; ++i) {
    pthread_mutex_lock(&mutex);
    ++counter;
    pthread_mutex_unlock(&mutex);
  }
  return arg;
}

static void mutexes_exclude(void) {
  pthread_t threads[kWorkers];
  long sum = 0;
  for (long i = 0; i < kWorkers; ++i) pthread_create(&threads[i], NULL, count, (void*)i);
  for (int i = 0; i < kWorkers; ++i) {
    void* result;
    pthread_join(threads[i], &result);
    sum += (long)result;
  }
  printf("mutex: %d counted, results %ld\n", counter, sum);
}

static void* take_turns(void* arg) {
  const int me = (int)(long)arg;
  for (int i = 0; i < 500; ++i) {
    pthread_mutex_lock(&mutex);
    while (turn != me) pthread_cond_wait(&cond, &mutex);
    turn = (turn + 1) % kWorkers;
    ++counter;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void conditions_wake(void) {
  pthread_t threads[kWorkers];
  counter = 0;
  for (long i = 0; i < kWorkers; ++i) pthread_create(&threads[i], NULL, take_turns, (void*)i);
  for (int i = 0; i < kWorkers; ++i) pthread_join(threads[i], NULL);
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 20000000;
  if (until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, ++until.tv_sec;
  pthread_mutex_lock(&mutex);
  const int error = pthread_cond_timedwait(&cond, &mutex, &until);
  pthread_mutex_unlock(&mutex);
  printf("condition: %d turns, %s\n", counter, error == ETIMEDOUT ? "timed out" : "no time-out");
}

static atomic_int serial;
static void* meet(void* arg) {
  (void)arg;
  for (int i = 0; i < 100; ++i) {
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) ++serial;
  }
  return NULL;
}

static void barriers_meet(void) {
  pthread_t threads[kWorkers];
  pthread_barrier_init(&barrier, NULL, kWorkers);
  for (int i = 0; i < kWorkers; ++i) pthread_create(&threads[i], NULL, meet, NULL);
  for (int i = 0; i < kWorkers; ++i) pthread_join(threads[i], NULL);
  printf("barrier: met %d times\n", serial);
}

static void* use_locals(void* arg) {
  const int fresh = local == 42 && zeroed == 0 && aligned[5] == 0 && (unsigned long)aligned % 64 == 0;
  local += (int)(long)arg;
  zeroed = local;
  errno = (int)(long)arg;
  usleep(2000);
  return (void*)(long)(fresh && local == 42 + (int)(long)arg && errno == (int)(long)arg);
}

static void locals_are_own(void) {
  pthread_t threads[kWorkers];
  long right = 0;
  local = 7;
  for (long i = 0; i < kWorkers; ++i) pthread_create(&threads[i], NULL, use_locals, (void*)(i + 1));
  for (int i = 0; i < kWorkers; ++i) {
    void* result;
    pthread_join(threads[i], &result);
    right += (long)result;
  }
  printf("thread-local: %ld of %d right, own still %d\n", right, kWorkers, local);
}

static pthread_key_t key;
static atomic_int destroyed;
static void destroy(void* value) {
  destroyed += (int)(long)value;
}
static void* set_key(void* arg) {
  pthread_setspecific(key, arg);
  return pthread_getspecific(key);
}

static void keys_are_destroyed(void) {
  pthread_key_create(&key, destroy);
  for (long i = 1; i <= 3; ++i) {
    pthread_t thread;
    pthread_create(&thread, NULL, set_key, (void*)i);
    pthread_join(thread, NULL);
  }
  printf("keys: destructors got %d\n", destroyed);
}

static sem_t done;
static void* post(void* arg) {
  (void)arg;
  sem_post(&done);
  return NULL;
}

static void many_come_and_go(void) {
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  sem_init(&done, 0, 0);
  int failed = 0;
  for (int i = 0; i < 1000; ++i) {
    pthread_t thread;
    // More than there may be at a time: those that ended make room.
    while (pthread_create(&thread, i % 2 ? &detached : NULL, post, NULL) != 0) {
      if (++failed > 10000) break;
      usleep(100);
    }
    if (i % 2 == 0) pthread_join(thread, NULL);
  }
  for (int i = 0; i < 1000; ++i) sem_wait(&done);
  printf("a thousand came and went\n");
}

static volatile sig_atomic_t handled_by;
static void on_signal(int number) {
  (void)number;
  handled_by = (int)syscall(SYS_gettid);
}
static atomic_int waiting_tid;
static void* wait_in_pause(void* arg) {
  waiting_tid = (int)syscall(SYS_gettid);
  struct timespec long_time = {60, 0};
  const int result = nanosleep(&long_time, NULL);
  return (void*)(long)(result == -1 && errno == EINTR && arg == NULL);
}
static void* block_all(void* arg) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  waiting_tid = (int)syscall(SYS_gettid);
  int number = 0;
  sigset_t* set = arg;
  sigwait(set, &number);
  return (void*)(long)number;
}

static void signals_find_their_thread(void) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  pthread_t thread;
  void* result;
  waiting_tid = 0;
  pthread_create(&thread, NULL, wait_in_pause, NULL);
  while (waiting_tid == 0) usleep(100);
  usleep(5000);
  pthread_kill(thread, SIGUSR1);
  pthread_join(thread, &result);
  printf("pthread_kill: %s, %s\n", handled_by == waiting_tid ? "handled there" : "handled elsewhere",
         result ? "interrupted" : "not interrupted");
  // The first thread blocks it: the other one gets what the process gets.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_create(&thread, NULL, wait_in_pause, NULL);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  usleep(10000);
  handled_by = 0;
  kill(getpid(), SIGUSR1);
  pthread_join(thread, NULL);
  printf("kill: %s\n", handled_by != 0 && handled_by != getpid() ? "who does not block it" : "the first");
  waiting_tid = 0;
  pthread_create(&thread, NULL, block_all, &set);
  while (waiting_tid == 0) usleep(100);
  usleep(2000);
  kill(getpid(), SIGUSR1);
  pthread_join(thread, &result);
  printf("sigwait: %s\n", (long)result == SIGUSR1 ? "got it" : "got another");
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static atomic_int cleaned;
static void clean(void* arg) {
  cleaned += (int)(long)arg;
}
static int pipe_ends[2];
static void* read_for_ever(void* arg) {
  char byte;
  pthread_cleanup_push(clean, (void*)1L);
  const long got = read(pipe_ends[0], &byte, 1);
  (void)got;
  pthread_cleanup_pop(0);
  return arg;
}
static void* wait_for_ever(void* arg) {
  pthread_cleanup_push(clean, (void*)10L);
  pthread_mutex_lock(&mutex);
  for (;;) pthread_cond_wait(&cond, &mutex);
  pthread_cleanup_pop(0);
  return arg;
}
static void* spin_for_ever(void* arg) {
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
  pthread_cleanup_push(clean, (void*)100L);
  for (;;) atomic_fetch_add((atomic_int*)arg, 1);
  pthread_cleanup_pop(0);
  return NULL;
}

static void cancellation_ends(void) {
  static atomic_int spun;
  void* (*const functions[])(void*) = {read_for_ever, wait_for_ever, spin_for_ever};
  int cancelled = 0;
  if (pipe(pipe_ends) != 0) return;
  for (int i = 0; i < 3; ++i) {
    pthread_t thread;
    void* result = NULL;
    pthread_create(&thread, NULL, functions[i], &spun);
    usleep(5000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    cancelled += result == PTHREAD_CANCELED;
    if (i == 1) pthread_mutex_unlock(&mutex);
  }
  printf("cancel: %d ended, cleaned up %d\n", cancelled, cleaned);
}

static void* fork_and_execute(void* arg) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    execl("/bin/sh", "sh", "-c", "exit 7", (char*)NULL);
    _exit(1);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return (void*)(long)(WIFEXITED(status) ? WEXITSTATUS(status) : -1 + (long)arg);
}
static void* sleep_long(void* arg) {
  sleep(60);
  return arg;
}
static void* thread_of_a_child(void* arg) {
  *(int*)arg = local;
  return arg;
}

static void forks_copy_the_caller(void) {
  pthread_t sleeper, thread;
  void* result;
  pthread_create(&sleeper, NULL, sleep_long, NULL);
  pthread_create(&thread, NULL, fork_and_execute, NULL);
  pthread_join(thread, &result);
  printf("fork in a thread, then execve: status %ld\n", (long)result);
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    int seen = 0;
    pthread_create(&thread, NULL, thread_of_a_child, &seen);
    pthread_join(thread, NULL);
    _exit(seen);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  printf("a child makes a thread: it saw %d\n", WEXITSTATUS(status));
  pthread_cancel(sleeper);
  pthread_join(sleeper, NULL);
}

static void* close_and_open(void* arg) {
  while (!atomic_load((atomic_int*)arg)) {
    const int fd = dup(0);
    char path[32];
    snprintf(path, sizeof path, "/tmp");
    if (chdir(path) != 0 || chdir("/") != 0) break;
    close(fd);
    close(3);
    close(4);
  }
  return NULL;
}

// Two threads use the descriptors and the directory that a third one closes and changes.
static void closing_is_safe(void) {
  atomic_int stop = 0;
  pthread_t thread;
  close(pipe_ends[0]), close(pipe_ends[1]);
  // The other thread may be quicker and close the reading end.
  signal(SIGPIPE, SIG_IGN);
  pthread_create(&thread, NULL, close_and_open, &stop);
  for (int i = 0; i < 3000; ++i) {
    int ends[2];
    char byte = 'x';
    if (pipe(ends) != 0) continue;
    struct pollfd poll_one = {.fd = ends[0], .events = POLLIN};
    const long put = write(ends[1], &byte, 1);
    poll(&poll_one, 1, 0);
    if (put == 1 && poll_one.revents == POLLIN) fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    char where[100];
    if (getcwd(where, sizeof where) == NULL) break;
    close(ends[0]);
    close(ends[1]);
  }
  stop = 1;
  pthread_join(thread, NULL);
  printf("close in another thread: survived\n");
}

static void* map_and_unmap(void* arg) {
  while (!atomic_load((atomic_int*)arg)) {
    char* at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) break;
    memset(at, 1, 1 << 20);
    munmap(at, 1 << 20);
  }
  return NULL;
}

static void mapping_is_safe(void) {
  atomic_int stop = 0;
  pthread_t threads[2];
  int wrong = 0;
  for (int i = 0; i < 2; ++i) pthread_create(&threads[i], NULL, map_and_unmap, &stop);
  for (int i = 0; i < 300; ++i) {
    char* at = malloc(300000);
    for (int j = 0; j < 300000; j += 4096) wrong += (at[j] = (char)i) != (char)i;
    free(at);
  }
  stop = 1;
  for (int i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
  printf("mmap in several threads: %d wrong\n", wrong);
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc > 1 && strcmp(argv[1], "exit") == 0) {
    pthread_t thread;
    for (int i = 0; i < 3; ++i) pthread_create(&thread, NULL, i % 2 ? sleep_long : spin_for_ever, &counter);
    usleep(20000);
    exit(3);
  }
  if (argc > 1 && strcmp(argv[1], "execute") == 0) {
    pthread_t thread;
    static atomic_int spun;
    for (int i = 0; i < 4; ++i) pthread_create(&thread, NULL, i % 2 ? sleep_long : spin_for_ever, &spun);
    usleep(10000);
    pthread_create(&thread, NULL, fork_and_execute, NULL);
    execl("/bin/sh", "sh", "-c", "echo executed $$ ; sed -n 's/Threads:./threads: /p' /proc/$$/status", (char*)NULL);
  }
  if (argc > 1 && strcmp(argv[1], "leave") == 0) {
    // The first thread ends, the last one decides.
    pthread_t thread;
    pthread_create(&thread, NULL, fork_and_execute, NULL);
    pthread_exit(NULL);
  }
  if (argc > 1 && strcmp(argv[1], "limit") == 0) {
    int made = 0;
    pthread_t thread;
    int error = 0;
    while (made < 5000 && (error = pthread_create(&thread, NULL, sleep_long, NULL)) == 0) ++made;
    printf("%s after %s\n", error == EAGAIN ? "EAGAIN" : "?", made > 3 && made < 32 ? "some" : "too many or few");
    return 0;
  }
  if (argc > 1 && strcmp(argv[1], "fault") == 0) {
    pthread_t thread;
    pthread_create(&thread, NULL, sleep_long, NULL);
    pthread_create(&thread, NULL, (void* (*)(void*))(void*)strlen, (void*)0xfffffff0);
    pthread_join(thread, NULL);
    return 0;
  }
  mutexes_exclude();
  conditions_wake();
  barriers_meet();
  locals_are_own();
  keys_are_destroyed();
  many_come_and_go();
  signals_find_their_thread();
  cancellation_ends();
  forks_copy_the_caller();
  closing_is_safe();
  mapping_is_safe();
  printf("processors: %s\n", sysconf(_SC_NPROCESSORS_ONLN) > 0 ? "some" : "none");
  return 0;
}
