#include "pthread_impl.h"

__asm__(
    ".globl __cordon_thread_pointer\n"
    "__cordon_thread_pointer:\n");

int __set_thread_area(void* p) {
  __asm__ volatile("local.get %0\n\tglobal.set __cordon_thread_pointer" : : "r"(p));
  return 0;
}
