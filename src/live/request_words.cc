#include <charconv>

#include "live/guest_channels.h"

namespace cordon::live {

RequestWords ReadRequest(std::string_view bytes) {
  constexpr uint32_t kMostWords = 1000;
  constexpr size_t kMostDigits = 4;
  if (bytes.size() > kMostRequestBytes) return {RequestWords::State::kBroken, {}};
  const size_t head = bytes.find('\0');
  if (head == std::string_view::npos) {
    return {bytes.size() > kMostDigits ? RequestWords::State::kBroken
                                       : RequestWords::State::kIncomplete,
            {}};
  }
  uint32_t count = 0;
  const std::string_view digits = bytes.substr(0, head);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  if (error != std::errc() || end != digits.data() + digits.size() || count > kMostWords) {
    return {RequestWords::State::kBroken, {}};
  }
  const std::string_view words = bytes.substr(head + 1);
  size_t at = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const size_t zero = words.find('\0', at);
    if (zero == std::string_view::npos) return {RequestWords::State::kIncomplete, {}};
    at = zero + 1;
  }
  return {RequestWords::State::kComplete, std::string(words.substr(0, at))};
}

}  // namespace cordon::live
