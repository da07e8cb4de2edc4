#include "mcp/clean_text.h"

#include <cstdint>
#include <utility>

namespace cordon::mcp {
namespace {

constexpr uint32_t kBad = 0xfffd;
constexpr uint32_t kEscape = 0x1b;
constexpr uint32_t kBell = 0x07;
constexpr uint32_t kStringEnd = 0x9c;

// One character, or kBad and one byte.
uint32_t TakeCharacter(std::string_view* bytes) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>((*bytes)[i]); };
  const uint8_t first = at(0);
  size_t length = first < 0x80                    ? 1
                  : first >= 0xc2 && first < 0xe0 ? 2
                  : (first & 0xf0) == 0xe0        ? 3
                  : first >= 0xf0 && first < 0xf5 ? 4
                                                  : 0;
  uint32_t value = length <= 1 ? first : first & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if (i >= bytes->size() || (at(i) & 0xc0) != 0x80) {
      length = 0;
      break;
    }
    value = value << 6 | (at(i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_bad = length == 0 || value < kLeast[length] || value > 0x10ffff ||
                      (value >= 0xd800 && value < 0xe000);
  bytes->remove_prefix(is_bad ? 1 : length);
  return is_bad ? kBad : value;
}

void Put(uint32_t value, std::string* text) {
  const auto add = [text](uint32_t byte) { *text += static_cast<char>(byte); };
  if (value < 0x80) return add(value);
  if (value < 0x800) {
    add(0xc0 | value >> 6);
  } else if (value < 0x10000) {
    add(0xe0 | value >> 12);
    add(0x80 | (value >> 6 & 0x3f));
  } else {
    add(0xf0 | value >> 18);
    add(0x80 | (value >> 12 & 0x3f));
    add(0x80 | (value >> 6 & 0x3f));
  }
  add(0x80 | (value & 0x3f));
}

bool IsInvisible(uint32_t c) {
  const bool turns = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
                     c == 0x200f || c == 0x061c;
  return turns || c == 0x7f || (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x80 && c < 0xa0);
}

class Cleaner {
 public:
  void Take(uint32_t c) {
    if (state_ != State::kText) return TakeInSequence(c);
    const bool follows_return = after_return_;
    after_return_ = c == '\r';
    if (c == kEscape) {
      state_ = State::kEscape;
    } else if (c == 0x9b) {
      state_ = State::kControl;
    } else if (c == 0x90 || c == 0x98 || c == 0x9d || c == 0x9e || c == 0x9f) {
      state_ = State::kString;
    } else if (c == '\r') {
      text_ += '\n';
    } else if (!(c == '\n' && follows_return) && !IsInvisible(c)) {
      Put(c, &text_);
    }
  }
  [[nodiscard]] std::string TakeText() { return std::move(text_); }

 private:
  enum class State { kText, kEscape, kControl, kString, kStringEscape };

  void TakeInSequence(uint32_t c) {
    switch (state_) {
      case State::kEscape:
        if (c == '[') {
          state_ = State::kControl;
        } else if (c == 'P' || c == 'X' || c == ']' || c == '^' || c == '_') {
          state_ = State::kString;
        } else if (c != kEscape && (c < 0x20 || c >= 0x30)) {
          // An intermediate byte (20 to 2f) is followed by another.
          state_ = State::kText;
          if (c < 0x20 || c > 0x7e) Take(c);
        }
        return;
      case State::kControl:
        if (c == kEscape) {
          state_ = State::kEscape;
        } else if (c < 0x20 || c > 0x3f) {
          state_ = State::kText;
          // A terminal gives a sequence up that something else interrupts.
          if (c < 0x40 || c > 0x7e) Take(c);
        }
        return;
      case State::kString:
        if (c == kBell || c == kStringEnd || c == 0x18 || c == 0x1a) state_ = State::kText;
        if (c == kEscape) state_ = State::kStringEscape;
        // A terminal would go on to wait for the end; nothing is hidden from a reader so.
        if (c == '\n') {
          state_ = State::kText;
          Take(c);
        }
        return;
      case State::kStringEscape:
        if (c == '\\') {
          state_ = State::kText;
        } else {
          state_ = State::kEscape;
          TakeInSequence(c);
        }
        return;
      case State::kText:
        return;
    }
  }

  State state_ = State::kText;
  bool after_return_ = false;
  std::string text_;
};

}  // namespace

std::string CleanText(std::string_view bytes) {
  Cleaner cleaner;
  while (!bytes.empty()) cleaner.Take(TakeCharacter(&bytes));
  return cleaner.TakeText();
}

}  // namespace cordon::mcp
