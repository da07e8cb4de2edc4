#define sem_post __cordon_unnamed_post
#include "../sem_post.c"
#undef sem_post

#include <errno.h>
#include <limits.h>
#include <unistd.h>
#include "named_semaphore.h"

int sem_post(sem_t* sem) {
  int value;
  if (!IS_NAMED(sem)) return __cordon_unnamed_post(sem);
  if (sem_getvalue(sem, &value) != 0) return -1;
  if (value < SEM_VALUE_MAX && write(FIFO_OF(sem), "", 1) == 1) return 0;
  if (value == SEM_VALUE_MAX || errno == EAGAIN) errno = EOVERFLOW;
  return -1;
}
