/* Cancellation is deferred: it takes effect in pthread_testcancel, or at once for a thread that
 * asked for that. */

#include "pthread_impl.h"

hidden void __testcancel(void) {
  pthread_t self = __pthread_self();
  if (self->cancel && self->canceldisable == PTHREAD_CANCEL_ENABLE) pthread_exit(PTHREAD_CANCELED);
}

int pthread_cancel(pthread_t t) {
  a_store(&t->cancel, 1);
  if (t == __pthread_self() && t->cancelasync) __testcancel();
  return 0;
}
