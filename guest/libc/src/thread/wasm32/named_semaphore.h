#ifndef CORDON_NAMED_SEMAPHORE_H
#define CORDON_NAMED_SEMAPHORE_H

#include <semaphore.h>

/* Processes share no memory. What sem_open gives is a FIFO in /dev/shm, one byte for each unit: waiting is reading a byte.
 * The third word tells it from one that sem_init made. */

#define NAMED 0x10000
#define IS_NAMED(sem) ((sem)->__val[2] == NAMED)
#define FIFO_OF(sem) ((sem)->__val[3])

#endif
