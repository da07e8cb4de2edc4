#include <ftw.h>
#include "libc.h"

/* An indirect call must have the callee's own type: adapt the three-argument function to nftw's
 * four. */
static _Thread_local int (*visit)(const char*, const struct stat*, int);

static int adapt(const char* path, const struct stat* st, int type, struct FTW* unused) {
  (void)unused;
  return visit(path, st, type);
}

int ftw(const char* path, int (*fn)(const char*, const struct stat*, int), int fd_limit) {
  int (*outer)(const char*, const struct stat*, int) = visit;
  visit = fn;
  int result = nftw(path, adapt, fd_limit, FTW_PHYS);
  visit = outer;
  return result;
}

weak_alias(ftw, ftw64);
