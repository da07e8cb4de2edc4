#include "shadow/quote.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "base/plain_text.h"

namespace cordon::shadow {
namespace {

void AppendOctal(std::string* out, std::string_view bytes) {
  for (const char c : bytes) {
    char text[8];
    (void)snprintf(text, sizeof text, "\\%03o",
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
    const size_t size = DecodeUtf8(name, &character);
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

std::string JsonText(std::string_view bytes, bool* is_exact) {
  std::string text;
  *is_exact = true;
  while (!bytes.empty()) {
    uint32_t character = 0;
    const size_t size = DecodeUtf8(bytes, &character);
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
