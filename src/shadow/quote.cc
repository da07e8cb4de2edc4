#include "shadow/quote.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace cordon::shadow {
namespace {

// The length of the UTF-8 sequence at the beginning and its character; 0 if it is none: overlong
// forms, surrogates and what is beyond the last character are none.
size_t Decode(std::string_view text, uint32_t* character) {
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

// Draws nothing, or somewhere else: control characters, marks of direction, joiners, separators of
// lines, and the tag characters that only machines see.
bool IsHidden(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
         (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
         (c >= 0xe0000 && c <= 0xe0fff);
}

void AppendOctal(std::string* out, std::string_view bytes) {
  for (const char c : bytes) {
    char text[8];
    (void)snprintf(text, sizeof text, "\\%03o",
                   static_cast<unsigned>(static_cast<unsigned char>(c)));
    *out += text;
  }
}

void AppendHex(std::string* out, std::string_view bytes) {
  for (const char c : bytes) {
    char text[8];
    (void)snprintf(text, sizeof text, "\\x%02x",
                   static_cast<unsigned>(static_cast<unsigned char>(c)));
    *out += text;
  }
}

}  // namespace

std::string QuoteName(std::string_view name) {
  std::string quoted;
  bool is_plain = !name.empty() && name.front() != '-' && name.front() != ' ' && name.back() != ' ';
  while (!name.empty()) {
    uint32_t character = 0;
    const size_t size = Decode(name, &character);
    const std::string_view part = name.substr(0, std::max<size_t>(size, 1));
    name.remove_prefix(part.size());
    if (size > 0 && !IsHidden(character) && character != '"' && character != '\\') {
      quoted += part;
      continue;
    }
    is_plain = false;
    if (part == "\n") {
      quoted += "\\n";
    } else if (part == "\t") {
      quoted += "\\t";
    } else if (part == "\"" || part == "\\") {
      quoted += "\\" + std::string(part);
    } else {
      AppendOctal(&quoted, part);
    }
  }
  return is_plain ? quoted : "\"" + quoted + "\"";
}

std::string PlainLine(std::string_view line) {
  std::string plain;
  while (!line.empty()) {
    uint32_t character = 0;
    const size_t size = Decode(line, &character);
    const std::string_view part = line.substr(0, std::max<size_t>(size, 1));
    line.remove_prefix(part.size());
    if (size > 0 && (character == '\t' || !IsHidden(character))) {
      plain += part;
    } else {
      AppendHex(&plain, part);
    }
  }
  return plain;
}

std::string JsonText(std::string_view bytes, bool* is_exact) {
  std::string text;
  *is_exact = true;
  while (!bytes.empty()) {
    uint32_t character = 0;
    const size_t size = Decode(bytes, &character);
    if (size > 0) {
      text += bytes.substr(0, size);
    } else {
      text += "\xef\xbf\xbd";
      *is_exact = false;
    }
    bytes.remove_prefix(std::max<size_t>(size, 1));
  }
  return text;
}

}  // namespace cordon::shadow
