#include <errno.h>
#include <unistd.h>
#include "syscall.h"

int ttyname_r(int fd, char* name, size_t size) {
  return -__syscall(SYS_ttyname, fd, name, size);
}
