#define sem_getvalue __cordon_unnamed_getvalue
#include "../sem_getvalue.c"
#undef sem_getvalue

#include <sys/ioctl.h>
#include "named_semaphore.h"

int sem_getvalue(sem_t* restrict sem, int* restrict value) {
  if (!IS_NAMED(sem)) return __cordon_unnamed_getvalue(sem, value);
  return ioctl(FIFO_OF(sem), FIONREAD, value);
}
