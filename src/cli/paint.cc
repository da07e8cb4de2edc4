#include "cli/paint.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace cordon::cli {
namespace {

// ECMA-48, "select graphic rendition".
constexpr std::string_view kBold = "\033[1m";
constexpr std::string_view kRed = "\033[31m";
constexpr std::string_view kGreen = "\033[32m";
constexpr std::string_view kCyan = "\033[36m";
constexpr std::string_view kPlain = "\033[m";

bool HasColours() {
  const char* none = getenv("NO_COLOR");
  const char* terminal = getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && (none == nullptr || *none == 0) && terminal != nullptr &&
         std::string_view(terminal) != "dumb";
}

std::string_view ColourOf(std::string_view line, Paint paint) {
  if (paint == Paint::kSections) return line.starts_with(' ') ? "" : kBold;
  if (line.starts_with('+')) return kGreen;
  if (line.starts_with('-')) return kRed;
  return line.starts_with("@@") ? kCyan : "";
}

std::string Painted(std::string_view text, Paint paint) {
  std::string painted;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const std::string_view colour = line.empty() ? "" : ColourOf(line, paint);
    painted.append(colour).append(line);
    if (!colour.empty()) painted += kPlain;
    text.remove_prefix(line.size());
    if (text.empty()) break;
    painted += '\n';
    text.remove_prefix(1);
  }
  return painted;
}

}  // namespace

void Print(std::string_view text, Paint paint) {
  const std::string painted = HasColours() ? Painted(text, paint) : std::string(text);
  (void)fwrite(painted.data(), 1, painted.size(), stdout);
}

}  // namespace cordon::cli
