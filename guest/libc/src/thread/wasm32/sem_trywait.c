#define sem_trywait __cordon_unnamed_trywait
#include "../sem_trywait.c"
#undef sem_trywait

#include <unistd.h>
#include "named_semaphore.h"

int sem_trywait(sem_t* sem) {
  char unit;
  if (!IS_NAMED(sem)) return __cordon_unnamed_trywait(sem);
  return read(FIFO_OF(sem), &unit, 1) == 1 ? 0 : -1;
}
