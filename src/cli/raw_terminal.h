#ifndef CORDON_CLI_RAW_TERMINAL_H_
#define CORDON_CLI_RAW_TERMINAL_H_

#include <termios.h>

namespace cordon::cli {

// The terminal of the client passes on every byte while this lives, because the line discipline is
// the sandbox's. Restored at its end, and by Restore from anywhere.
class RawTerminal {
 public:
  // Standard input and output are terminals.
  [[nodiscard]] static bool IsThere();

  RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal() { Restore(); }
  void Restore();

 private:
  termios before_ = {};
  bool changed_ = false;
};

}  // namespace cordon::cli

#endif  // CORDON_CLI_RAW_TERMINAL_H_
