// Writes the system call filter as source: numbers for the initialiser of an array.

#include <linux/filter.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>

#include "backend/native/system_calls.h"

int main() {
  const int fd = memfd_create("filter", MFD_CLOEXEC);
  const cordon::Status written = cordon::backend::native::WriteSystemCallFilter(fd);
  if (!written) {
    (void)fprintf(stderr, "%s\n", written.error().ToString().c_str());
    return 1;
  }
  sock_filter step = {};
  for (off_t at = 0; pread(fd, &step, sizeof step, at) == sizeof step; at += sizeof step) {
    (void)printf("{0x%x, %u, %u, 0x%x},\n", step.code, step.jt, step.jf, step.k);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
