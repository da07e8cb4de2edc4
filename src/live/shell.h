#ifndef CORDON_LIVE_SHELL_H_
#define CORDON_LIVE_SHELL_H_

// The conversation with a session's shell: a bash that reads commands from a stream nobody else
// has, and writes a prompt there before each. The prompt says the status of the last command, which
// reading it there does not change, and the number of the command, so that prompts are not taken
// for each other.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cordon::live {

// What is builtin to everybody else, and what no function, alias or `enable -n` of a session takes
// away: our port of bash has it (guest/ports/bash).
inline constexpr const char* kBuiltin = "__cordon_builtin";

// argv of the shell.
[[nodiscard]] std::vector<std::string> ShellArguments();
// What it reads first.
[[nodiscard]] std::string ShellPreparation();
// Makes the prompt again that a command has changed; reports the status at once.
[[nodiscard]] std::string PromptRepair();

// Gives the shell of a copy another sequence of $RANDOM, keeps $?, and says what PromptRepair says.
[[nodiscard]] std::string Reseed(uint32_t seed);

// Finds prompts in what the shell writes. Everything there may be a guest's, who gains nothing: a
// forged prompt ends the guest's own command early.
class PromptReader {
 public:
  struct Ended {
    int status;
    bool is_repair;  // PromptRepair said so, not a prompt
  };
  // One for each command that ended; the preparation is none.
  [[nodiscard]] std::vector<Ended> Read(std::string_view bytes);

 private:
  void TakePrompt(std::vector<Ended>* ended);

  bool skips_next_ = true;  // the preparation's, or that of a repaired prompt
  std::string line_;
  bool in_prompt_ = false;
  uint64_t last_number_ = 0;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_SHELL_H_
