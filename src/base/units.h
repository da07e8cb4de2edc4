#ifndef CORDON_BASE_UNITS_H_
#define CORDON_BASE_UNITS_H_

// Sizes and durations as people write them.

#include <chrono>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace cordon {

// "64MiB", "1g", "4096": powers of 1024, whatever the unit is called. Not zero.
[[nodiscard]] Result<uint64_t> ParseSize(const std::string& text, const char* option);
// "10s", "500ms", "2m", "1h", or seconds. Not zero.
[[nodiscard]] Result<std::chrono::milliseconds> ParseDuration(const std::string& text,
                                                              const char* option);
// "1 GiB", "1536 MiB", "5 B".
[[nodiscard]] std::string FormatSize(uint64_t bytes);
// "1.5 s", "250 ms".
[[nodiscard]] std::string FormatDuration(std::chrono::milliseconds duration);

}  // namespace cordon

#endif  // CORDON_BASE_UNITS_H_
