#define __clone __cordon_start_thread
#include "../pthread_create.c"
