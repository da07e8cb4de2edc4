#include "cli/leading_options.h"

#include <algorithm>
#include <string_view>

namespace cordon::cli {
namespace {

enum class Takes { kNothing, kValue };
struct Leading {
  std::string_view name;
  Takes takes;
};
constexpr Leading kLeading[] = {
    {"--config", Takes::kValue},    {"--workspace", Takes::kValue},
    {"--profile", Takes::kValue},   {"--wall", Takes::kValue},
    {"--backend", Takes::kValue},   {"--image", Takes::kValue},
    {"--mode", Takes::kValue},      {"--policy", Takes::kValue},
    {"--quiet", Takes::kNothing},   {"--strict-security", Takes::kNothing},
    {"--verbose", Takes::kNothing}, {"-v", Takes::kNothing},
    {"-vv", Takes::kNothing},       {"-vvv", Takes::kNothing},
};

}  // namespace

std::vector<std::string> WithCommandFirst(std::vector<std::string> words) {
  size_t command = 0;
  while (command < words.size()) {
    const std::string_view word = words[command];
    const size_t equals = word.find('=');
    const auto* const found = std::ranges::find(kLeading, word.substr(0, equals), &Leading::name);
    if (found == std::end(kLeading)) break;
    const bool has_value = found->takes == Takes::kValue && equals == std::string_view::npos;
    command += has_value ? 2 : 1;
  }
  // Without a command nothing is meant by them, and the parser says so.
  if (command >= words.size() || words[command].starts_with('-')) return words;
  const auto name = words.begin() + static_cast<std::ptrdiff_t>(command);
  std::rotate(words.begin(), name, name + 1);
  return words;
}

}  // namespace cordon::cli
