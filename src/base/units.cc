#include "base/units.h"

#include <charconv>
#include <cmath>
#include <string_view>

namespace cordon {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr Unit kSizeUnits[] = {
    {"", 1},         {"b", 1},       {"k", 0x1p10},   {"kb", 0x1p10},  {"kib", 0x1p10},
    {"m", 0x1p20},   {"mb", 0x1p20}, {"mib", 0x1p20}, {"g", 0x1p30},   {"gb", 0x1p30},
    {"gib", 0x1p30}, {"t", 0x1p40},  {"tb", 0x1p40},  {"tib", 0x1p40},
};
constexpr Unit kTimeUnits[] = {
    {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000},
};

// The number with its unit, 0 if there is none.
template <size_t kCount>
double ParseWithUnit(const std::string& text, const Unit (&units)[kCount]) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (error != std::errc() || !(value > 0)) return 0;
  std::string name;
  for (const char* c = at; c < end; ++c) {
    if (*c != ' ' || !name.empty())
      name += *c >= 'A' && *c <= 'Z' ? static_cast<char>(*c + 32) : *c;
  }
  for (const Unit& unit : units) {
    if (unit.name == name) return std::floor(value * unit.factor);
  }
  return 0;
}

}  // namespace

Result<uint64_t> ParseSize(const std::string& text, const char* option) {
  const double bytes = ParseWithUnit(text, kSizeUnits);
  if (bytes < 1 || bytes > 0x1p60) {
    return Fail(ErrorCode::kInvalid, "not a size: '" + text + "' (64MiB, 1GiB)", option);
  }
  return static_cast<uint64_t>(bytes);
}

Result<std::chrono::milliseconds> ParseDuration(const std::string& text, const char* option) {
  const double milliseconds = ParseWithUnit(text, kTimeUnits);
  if (milliseconds < 1 || milliseconds > 1e12) {
    return Fail(ErrorCode::kInvalid, "not a duration: '" + text + "' (10s, 500ms, 2m, 1h)", option);
  }
  return std::chrono::milliseconds(static_cast<int64_t>(milliseconds));
}

std::string FormatSize(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB"};
  int unit = 0;
  while (unit < 3 && bytes >= 1024 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return std::to_string(bytes) + " " + kUnits[unit];
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  const int64_t count = duration.count();
  if (count < 1000) return std::to_string(count) + " ms";
  std::string text = std::to_string(count / 1000);
  if (count % 1000 != 0) {
    std::string part = std::to_string(count % 1000 + 1000).substr(1);
    while (part.ends_with('0')) part.pop_back();
    text += "." + part;
  }
  return text + " s";
}

}  // namespace cordon
