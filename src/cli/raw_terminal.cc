#include "cli/raw_terminal.h"

#include <unistd.h>

namespace cordon::cli {

bool RawTerminal::IsThere() {
  return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
}

RawTerminal::RawTerminal() {
  if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
  termios raw = before_;
  cfmakeraw(&raw);
  changed_ = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

void RawTerminal::Restore() {
  if (!changed_) return;
  changed_ = false;
  (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

}  // namespace cordon::cli
