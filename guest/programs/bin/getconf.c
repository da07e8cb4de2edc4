// getconf [-v SPECIFICATION] NAME [PATH], getconf -a: what sysconf(3), pathconf(3), confstr(3) and <limits.h> say.
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { kSystem, kPath, kText, kConstant };
static const struct {
  const char *name;
  enum kind kind;
  long value;  // which one; of a constant the value
} kRows[] = {
    {"ARG_MAX", kSystem, _SC_ARG_MAX},
    {"ATEXIT_MAX", kSystem, _SC_ATEXIT_MAX},
    {"BC_BASE_MAX", kSystem, _SC_BC_BASE_MAX},
    {"BC_SCALE_MAX", kSystem, _SC_BC_SCALE_MAX},
    {"CHAR_BIT", kConstant, CHAR_BIT},
    {"CHAR_MAX", kConstant, CHAR_MAX},
    {"CHAR_MIN", kConstant, CHAR_MIN},
    {"CHILD_MAX", kSystem, _SC_CHILD_MAX},
    {"CLK_TCK", kSystem, _SC_CLK_TCK},
    {"EXPR_NEST_MAX", kSystem, _SC_EXPR_NEST_MAX},
    {"FILESIZEBITS", kPath, _PC_FILESIZEBITS},
    {"HOST_NAME_MAX", kSystem, _SC_HOST_NAME_MAX},
    {"INT_MAX", kConstant, INT_MAX},
    {"INT_MIN", kConstant, INT_MIN},
    {"IOV_MAX", kSystem, _SC_IOV_MAX},
    {"LINE_MAX", kSystem, _SC_LINE_MAX},
    {"LINK_MAX", kPath, _PC_LINK_MAX},
    {"LOGIN_NAME_MAX", kSystem, _SC_LOGIN_NAME_MAX},
    {"LONG_BIT", kConstant, sizeof(long) * CHAR_BIT},
    {"MAX_CANON", kPath, _PC_MAX_CANON},
    {"MAX_INPUT", kPath, _PC_MAX_INPUT},
    {"NAME_MAX", kPath, _PC_NAME_MAX},
    {"NGROUPS_MAX", kSystem, _SC_NGROUPS_MAX},
    {"OPEN_MAX", kSystem, _SC_OPEN_MAX},
    {"PAGESIZE", kSystem, _SC_PAGESIZE},
    {"PAGE_SIZE", kSystem, _SC_PAGESIZE},
    {"PATH", kText, _CS_PATH},
    {"PATH_MAX", kPath, _PC_PATH_MAX},
    {"PIPE_BUF", kPath, _PC_PIPE_BUF},
    {"PTHREAD_KEYS_MAX", kSystem, _SC_THREAD_KEYS_MAX},
    {"PTHREAD_STACK_MIN", kSystem, _SC_THREAD_STACK_MIN},
    {"RE_DUP_MAX", kSystem, _SC_RE_DUP_MAX},
    {"SCHAR_MAX", kConstant, SCHAR_MAX},
    {"SEM_VALUE_MAX", kSystem, _SC_SEM_VALUE_MAX},
    {"SHRT_MAX", kConstant, SHRT_MAX},
    {"SSIZE_MAX", kConstant, SSIZE_MAX},
    {"STREAM_MAX", kSystem, _SC_STREAM_MAX},
    {"SYMLINK_MAX", kPath, _PC_SYMLINK_MAX},
    {"SYMLOOP_MAX", kSystem, _SC_SYMLOOP_MAX},
    {"TTY_NAME_MAX", kSystem, _SC_TTY_NAME_MAX},
    {"TZNAME_MAX", kSystem, _SC_TZNAME_MAX},
    {"UCHAR_MAX", kConstant, UCHAR_MAX},
    {"WORD_BIT", kConstant, sizeof(int) * CHAR_BIT},
    {"_AVPHYS_PAGES", kSystem, _SC_AVPHYS_PAGES},
    {"_NPROCESSORS_CONF", kSystem, _SC_NPROCESSORS_CONF},
    {"_NPROCESSORS_ONLN", kSystem, _SC_NPROCESSORS_ONLN},
    {"_PHYS_PAGES", kSystem, _SC_PHYS_PAGES},
    {"_POSIX2_VERSION", kSystem, _SC_2_VERSION},
    {"_POSIX_ARG_MAX", kConstant, _POSIX_ARG_MAX},
    {"_POSIX_JOB_CONTROL", kSystem, _SC_JOB_CONTROL},
    {"_POSIX_SAVED_IDS", kSystem, _SC_SAVED_IDS},
    {"_POSIX_THREADS", kSystem, _SC_THREADS},
    {"_POSIX_VERSION", kSystem, _SC_VERSION},
    {"_XOPEN_VERSION", kSystem, _SC_XOPEN_VERSION},
};
enum { kRowCount = sizeof kRows / sizeof *kRows };

static void show(size_t row, const char *path) {
  char text[1024] = "";
  long value = kRows[row].value;
  switch (kRows[row].kind) {
    case kText:
      confstr((int)value, text, sizeof text);
      puts(text);
      return;
    case kSystem:
      value = sysconf((int)value);
      break;
    case kPath:
      value = pathconf(path, (int)value);
      break;
    case kConstant:
      printf("%ld\n", value);
      return;
  }
  if (value == -1) {
    puts("undefined");
  } else {
    printf("%ld\n", value);
  }
}

int main(int argc, char **argv) {
  int at = 1;
  if (argc > 2 && strcmp(argv[1], "-v") == 0) at = 3;  // there is one environment
  if (at < argc && strcmp(argv[at], "-a") == 0) {
    for (size_t i = 0; i < kRowCount; ++i) {
      printf("%-34s ", kRows[i].name);
      show(i, at + 1 < argc ? argv[at + 1] : "/");
    }
    return 0;
  }
  if (at >= argc || argc - at > 2) {
    fputs("usage: getconf [-v SPECIFICATION] NAME [PATH]\n       getconf -a [PATH]\n", stderr);
    return 2;
  }
  for (size_t i = 0; i < kRowCount; ++i) {
    if (strcmp(argv[at], kRows[i].name) != 0) continue;
    if (kRows[i].kind == kPath && at + 1 == argc) {
      fprintf(stderr, "getconf: %s needs a path\n", argv[at]);
      return 2;
    }
    show(i, argv[argc - 1]);
    return 0;
  }
  fprintf(stderr, "getconf: Unrecognized variable `%s'\n", argv[at]);
  return 2;
}
