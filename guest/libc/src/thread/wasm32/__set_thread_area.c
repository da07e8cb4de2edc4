#include "pthread_impl.h"

hidden _Thread_local uintptr_t __cordon_thread_pointer;

int __set_thread_area(void* p) {
  __cordon_thread_pointer = (uintptr_t)p;
  return 0;
}
