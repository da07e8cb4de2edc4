#include "base/json_bounds.h"

namespace cordon {

bool IsWithin(std::string_view text, JsonBounds bounds) {
  int64_t levels = 0;
  uint64_t values = 1;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '}' || c == ']') --levels;
    // Each begins a value at most: the first of an array or object, or the next one.
    if (c == ',' || c == '{' || c == '[') ++values;
    if (c == '{' || c == '[') ++levels;
    if (levels > int64_t{bounds.levels} || values > bounds.values) return false;
  }
  return true;
}

}  // namespace cordon
