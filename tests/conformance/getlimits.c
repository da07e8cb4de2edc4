// What coreutils' own getlimits prints for its tests (that one needs its build tree): the limits of C's types, one larger
// and one smaller than each, as assignments for a shell.
#include <float.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

// The decimal of a value with its absolute value increased by one.
static void print_beyond(const char *name, const char *side, const char *decimal) {
  char digits[64] = "0";
  int negative = decimal[0] == '-';
  strcat(digits, decimal + negative);
  char *last = digits + strlen(digits) - 1;
  while (*last == '9') *last-- = '0';
  ++*last;
  printf("%s_%s=%s%s\n", name, side, negative ? "-" : "", digits + (digits[0] == '0'));
}

static void print_integer(const char *name, uintmax_t max, intmax_t min) {
  char text[32];
  snprintf(text, sizeof text, "%ju", max);
  printf("%s_MAX=%s\n", name, text);
  print_beyond(name, "OFLOW", text);
  if (min == 0) return;
  snprintf(text, sizeof text, "%jd", min);
  printf("%s_MIN=%s\n", name, text);
  print_beyond(name, "UFLOW", text);
}

// The shortest decimal that is read back as the same number.
#define PRINT_FLOAT(NAME, TYPE, FORMAT, READ, VALUE)                       \
  do {                                                                     \
    char text[64];                                                         \
    for (int digits = 1; digits < 40; ++digits) {                          \
      snprintf(text, sizeof text, "%.*" FORMAT, digits, (TYPE)(VALUE));    \
      if (READ(text, NULL) == (VALUE)) break;                              \
    }                                                                      \
    printf("%s=%s\n", NAME, text);                                         \
  } while (0)

#define SIGNED_MAX(TYPE) ((uintmax_t)((((uintmax_t)1 << (sizeof(TYPE) * 8 - 2)) - 1) * 2 + 1))
#define INTEGER(NAME, TYPE)                                                                                      \
  print_integer(NAME, (TYPE)-1 < (TYPE)1 ? SIGNED_MAX(TYPE) : (uintmax_t)(TYPE)-1,                               \
                (TYPE)-1 < (TYPE)1 ? -(intmax_t)SIGNED_MAX(TYPE) - 1 : 0)

int main(void) {
  INTEGER("CHAR", char);
  INTEGER("SCHAR", signed char);
  INTEGER("UCHAR", unsigned char);
  INTEGER("SHRT", short);
  INTEGER("INT", int);
  INTEGER("UINT", unsigned int);
  INTEGER("LONG", long);
  INTEGER("ULONG", unsigned long);
  INTEGER("SIZE", size_t);
  INTEGER("SSIZE", ssize_t);
  INTEGER("TIME_T", time_t);
  INTEGER("UID_T", uid_t);
  INTEGER("GID_T", gid_t);
  INTEGER("PID_T", pid_t);
  INTEGER("OFF_T", off_t);
  INTEGER("INTMAX", intmax_t);
  INTEGER("UINTMAX", uintmax_t);
  PRINT_FLOAT("FLT_MIN", double, "g", strtof, FLT_MIN);
  PRINT_FLOAT("FLT_MAX", double, "g", strtof, FLT_MAX);
  PRINT_FLOAT("DBL_MIN", double, "g", strtod, DBL_MIN);
  PRINT_FLOAT("DBL_MAX", double, "g", strtod, DBL_MAX);
  PRINT_FLOAT("LDBL_MIN", long double, "Lg", strtold, LDBL_MIN);
  PRINT_FLOAT("LDBL_MAX", long double, "Lg", strtold, LDBL_MAX);
  return 0;
}
