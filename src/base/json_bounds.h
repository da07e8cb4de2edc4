#ifndef CORDON_BASE_JSON_BOUNDS_H_
#define CORDON_BASE_JSON_BOUNDS_H_

// JSON that others wrote, before anything parses it: what is parsed takes memory for each value,
// however short, and is copied and written level by level on the stack.

#include <cstdint>
#include <string_view>

namespace cordon {

struct JsonBounds {
  uint32_t levels;  // of arrays and objects in each other
  uint64_t values = UINT64_MAX;
};

// Whether `text`, which may be anything, stays within the bounds: as far as it is JSON, from its
// beginning on.
[[nodiscard]] bool IsWithin(std::string_view text, JsonBounds bounds);

}  // namespace cordon

#endif  // CORDON_BASE_JSON_BOUNDS_H_
