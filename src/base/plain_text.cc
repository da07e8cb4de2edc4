#include "base/plain_text.h"

#include <algorithm>
#include <cstdio>

namespace cordon {
namespace {

void AppendHex(std::string* out, std::string_view bytes) {
  for (const char c : bytes) {
    char text[8];
    (void)snprintf(text, sizeof text, "\\x%02x",
                   static_cast<unsigned>(static_cast<unsigned char>(c)));
    *out += text;
  }
}

enum class Tabs { kStay, kEscaped };

std::string Plain(std::string_view text, Tabs tabs) {
  std::string plain;
  while (!text.empty()) {
    uint32_t character = 0;
    const size_t size = DecodeUtf8(text, &character);
    const std::string_view part = text.substr(0, std::max<size_t>(size, 1));
    text.remove_prefix(part.size());
    const bool is_kept_tab = character == '\t' && tabs == Tabs::kStay;
    if (size > 0 && (is_kept_tab || !IsHidden(character))) {
      plain += part;
    } else {
      AppendHex(&plain, part);
    }
  }
  return plain;
}

}  // namespace

size_t DecodeUtf8(std::string_view text, uint32_t* character) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) {
    *character = lead;
    return 1;
  }
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return 0;
  uint32_t value = lead & (0x7fU >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return 0;
  *character = value;
  return size;
}

bool IsHidden(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
         (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
         (c >= 0xe0000 && c <= 0xe0fff);
}

std::string PlainText(std::string_view text) {
  return Plain(text, Tabs::kEscaped);
}

std::string PlainLine(std::string_view line) {
  return Plain(line, Tabs::kStay);
}

}  // namespace cordon
