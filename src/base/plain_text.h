#ifndef CORDON_BASE_PLAIN_TEXT_H_
#define CORDON_BASE_PLAIN_TEXT_H_

// Text that somebody else chose, for a person's terminal.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cordon {

// The length of the UTF-8 sequence at the beginning and its character; 0 if it is none: overlong
// forms, surrogates and what is beyond the last character are none. `text` is not empty.
[[nodiscard]] size_t DecodeUtf8(std::string_view text, uint32_t* character);

// Draws nothing, or somewhere else: control characters, marks of direction, joiners, separators of
// lines, and the tag characters that only machines see.
[[nodiscard]] bool IsHidden(uint32_t character);

// Nothing in it is obeyed or turns the line around: such characters, and bytes that are not UTF-8,
// as `\x1b`.
[[nodiscard]] std::string PlainText(std::string_view text);
// The same, with its tabs.
[[nodiscard]] std::string PlainLine(std::string_view line);

}  // namespace cordon

#endif  // CORDON_BASE_PLAIN_TEXT_H_
