#ifndef CORDON_SHADOW_QUOTE_H_
#define CORDON_SHADOW_QUOTE_H_

// Names and contents that a command chose, for a person's terminal.

#include <string>
#include <string_view>

namespace cordon::shadow {

// As it is where that can be misread by nobody; otherwise in double quotes with `\n`, `\"`, `\\`
// and octal numbers, as git and C write it: control characters, bytes that are not UTF-8,
// characters that turn the line around; and names that begin with `-` or have blanks at an end.
[[nodiscard]] std::string QuoteName(std::string_view name);

// Bytes that JSON can hold: what is not UTF-8 is replaced. `is_exact` says whether nothing was.
[[nodiscard]] std::string JsonText(std::string_view bytes, bool* is_exact);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_QUOTE_H_
