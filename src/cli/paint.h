#ifndef CORDON_CLI_PAINT_H_
#define CORDON_CLI_PAINT_H_

#include <string_view>

namespace cordon::cli {

enum class Paint {
  kSections,    // lines that begin at the margin are headings
  kDifference,  // of two texts, as `diff -u` has it
};

// To standard output: in colours where that is a terminal that has some, unless NO_COLOR is set
// (no-color.org).
void Print(std::string_view text, Paint paint);

}  // namespace cordon::cli

#endif  // CORDON_CLI_PAINT_H_
