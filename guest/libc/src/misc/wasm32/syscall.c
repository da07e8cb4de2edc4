#include "syscall.h"
#include <stdarg.h>
#include <unistd.h>

#undef syscall

/* The raw call by number. A number that is not known when this is compiled would import the whole
 * table into every program that names this function, so it offers the calls for which programs use
 * it. */
long syscall(long n, ...) {
  va_list ap;
  va_start(ap, n);
  long a = va_arg(ap, long), b = va_arg(ap, long), c = va_arg(ap, long), d = va_arg(ap, long);
  va_end(ap);
  switch (n) {
    case SYS_getpid:
      return __syscall_ret(__syscall(SYS_getpid));
    case SYS_gettid:
      return __syscall_ret(__syscall(SYS_gettid));
    case SYS_getrandom:
      return __syscall_ret(__syscall(SYS_getrandom, a, b, c));
    case SYS_getdents64:
      return __syscall_ret(__syscall(SYS_getdents64, a, b, c));
    case SYS_close_range:
      return __syscall_ret(__syscall(SYS_close_range, a, b, c));
    case SYS_faccessat2:
      return __syscall_ret(__syscall(SYS_faccessat2, a, b, c, d));
    case SYS_memfd_create:
      return __syscall_ret(__syscall(SYS_memfd_create, a, b));
  }
  return __syscall_ret(-ENOSYS);
}
