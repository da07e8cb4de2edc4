#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include "pthread_impl.h"
#include "syscall.h"

/* Handlers run on the way out of calls, and at the back-edges of loops, but not between the look at
 * `cancel` and the call that follows: a signal that comes there makes the call return at once with
 * EINTR, and it is looked at again. So no range of program counters is needed. */

hidden long __cancel(void) {
  pthread_t self = __pthread_self();
  if (self->canceldisable == PTHREAD_CANCEL_ENABLE || self->cancelasync) pthread_exit(PTHREAD_CANCELED);
  self->canceldisable = PTHREAD_CANCEL_DISABLE;
  return -ECANCELED;
}

static long cancellation_point(void) {
  pthread_t self = __pthread_self();
  return self->cancel && self->canceldisable != PTHREAD_CANCEL_DISABLE ? __cancel() : 0;
}

hidden void __testcancel(void) {
  pthread_t self = __pthread_self();
  if (self->cancel && !self->canceldisable) __cancel();
}

static void on_cancel(int sig, siginfo_t* info, void* context) {
  pthread_t self = __pthread_self();
  (void)sig, (void)info, (void)context;
  a_barrier();
  if (!self->cancel || self->canceldisable == PTHREAD_CANCEL_DISABLE) return;
  if (self->cancelasync) {
    sigset_t set;
    memset(&set, -1, sizeof set);
    sigdelset(&set, SIGCANCEL);
    pthread_sigmask(SIG_SETMASK, &set, 0);
    __cancel();
  }
}

int pthread_cancel(pthread_t t) {
  static volatile int prepared;
  if (!prepared) {
    struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = on_cancel};
    memset(&action.sa_mask, -1, _NSIG / 8);
    __libc_sigaction(SIGCANCEL, &action, 0);
    __cordon_cancellation_point = cancellation_point;
    prepared = 1;
  }
  a_store(&t->cancel, 1);
  if (t == pthread_self()) {
    if (t->canceldisable == PTHREAD_CANCEL_ENABLE && t->cancelasync) pthread_exit(PTHREAD_CANCELED);
    return 0;
  }
  return pthread_kill(t, SIGCANCEL);
}
