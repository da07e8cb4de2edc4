#ifndef CORDON_SHADOW_TEXT_DIFF_H_
#define CORDON_SHADOW_TEXT_DIFF_H_

// The unified difference of two texts, by the machine's `diff` program, which gets both through
// descriptors and no name of a file.

#include <string>
#include <string_view>

#include "base/error.h"

namespace cordon::shadow {

inline constexpr size_t kMaxDiffInput = 1 << 20;   // bytes of each side
inline constexpr size_t kMaxDiffOutput = 1 << 20;  // what is beyond is cut, and said

// A NUL among the first bytes.
[[nodiscard]] bool IsBinary(std::string_view contents);

// Ends after ten seconds. The two lines with the names are not in it.
[[nodiscard]] Result<std::string> DiffTexts(std::string_view before, std::string_view after);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_TEXT_DIFF_H_
