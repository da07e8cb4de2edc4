#include "pthread_impl.h"
#include "syscall.h"

/* Calls are made in place, see patches/musl.patch. Set by the first pthread_cancel: 0, or -ECANCELED,
 * or it does not return. */
hidden long (*__cordon_cancellation_point)(void);
