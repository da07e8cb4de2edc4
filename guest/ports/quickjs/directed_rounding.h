// printf in the direction that fesetround asks for. WebAssembly rounds to nearest only (core specification, 4.3.3), and
// QuickJS prints ties, such as (2.5).toFixed(0), by rounding away from zero. For its two formats, "%.*f" and "%+.*e".
#include <fenv.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FE_DOWNWARD 1
#define FE_UPWARD 2

static _Thread_local int directed_mode = FE_TONEAREST;

static int directed_set_mode(int mode) {
  directed_mode = mode;
  return 0;
}

// Adds one to the last of the decimal digits before `end`. The one that is carried out of the first, or 0.
static int directed_increment(char* begin, char* end) {
  while (end > begin) {
    --end;
    if (*end == '.') continue;
    if (*end != '9') {
      ++*end;
      return 0;
    }
    *end = '0';
  }
  return 1;
}

static int directed_print(char* out, size_t size, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (directed_mode == FE_TONEAREST) {
    const int length = vsnprintf(out, size, format, arguments);
    va_end(arguments);
    return length;
  }
  const int precision = va_arg(arguments, int);
  const double value = va_arg(arguments, double);
  va_end(arguments);
  // Every digit that a double has: the smallest ends 1074 places behind the point, the largest begins 309 before it.
  char exact[1500];
  const int is_exponential = format[strlen(format) - 1] == 'e';
  snprintf(exact, sizeof exact, is_exponential ? "%+.*e" : "%.*f", 1100, value);
  char* point = strchr(exact, '.');
  if (point == NULL) return snprintf(out, size, "%s", exact);  // not a finite number
  char* first = exact + (exact[0] == '-' || exact[0] == '+');
  char* exponent = is_exponential ? strchr(exact, 'e') : exact + strlen(exact);
  char* end = precision > 0 ? point + 1 + precision : point;
  const int is_rest = strspn(end + (end == point), "0") != (size_t)(exponent - end - (end == point));
  const int is_away = (exact[0] == '-') == (directed_mode == FE_DOWNWARD);
  int power = is_exponential ? atoi(exponent + 1) : 0;
  const char* carried = "";
  if (is_rest && is_away && directed_increment(first, end)) {
    if (is_exponential) {
      *first = '1';
      ++power;
    } else {
      carried = "1";
    }
  }
  const int sign = (int)(first - exact);
  const int digits = (int)(end - first);
  if (!is_exponential) return snprintf(out, size, "%.*s%s%.*s", sign, exact, carried, digits, first);
  return snprintf(out, size, "%.*s%.*se%+03d", sign, exact, digits, first, power);
}

#define fesetround directed_set_mode
#define snprintf directed_print
