#include "live/shell.h"

#include <charconv>
#include <optional>
#include <utility>

namespace cordon::live {
namespace {

constexpr char kBegin = '\035';
constexpr char kFinish = '\036';
constexpr size_t kLongest = 64;

// "NUMBER;STATUS"; number "R" is a repair.
struct Prompt {
  uint64_t number = 0;
  bool is_repair = false;
  int status = 0;
};

std::optional<Prompt> Parse(std::string_view text) {
  const size_t middle = text.find(';');
  if (middle == std::string_view::npos) return std::nullopt;
  const std::string_view number = text.substr(0, middle);
  const std::string_view status = text.substr(middle + 1);
  Prompt prompt;
  prompt.is_repair = number == "R";
  const auto whole = [](std::string_view digits, auto* value) {
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), *value);
    return error == std::errc() && end == digits.end();
  };
  if (!prompt.is_repair && !whole(number, &prompt.number)) return std::nullopt;
  if (!whole(status, &prompt.status) || prompt.status < 0 || prompt.status > 255)
    return std::nullopt;
  return prompt;
}

constexpr const char* kPrompt = "PS1=$'\\035\\\\#;$?\\036'";

}  // namespace

std::vector<std::string> ShellArguments() {
  // Interactive, because such a shell gives up the command and not itself when it is interrupted;
  // without a line editor, which would want a terminal.
  return {"bash", "--norc", "--noprofile", "--noediting", "-i"};
}

std::string ShellPreparation() {
  // Scripts are read by `.`, which makes the shell as quiet as one that is not interactive.
  const std::string word = std::string("\\") + kBuiltin;
  return "export -n PS1; unset HISTFILE MAILCHECK; set +H +o history; history -c; PS2=; "
         "history() { case \"${1-list}\" in list) " +
         word +
         " printf '%s\\n' \"$(</run/cordon/history)\" ;; clear) : >/run/cordon/history ;; *) " +
         word + " echo \"history: unknown subcommand: $1\" >&2; return 1 ;; esac; }; " + kPrompt +
         "\n";
}

std::string PromptRepair() {
  return std::string("\\") + kBuiltin + " printf '\\035R;%d\\036' $? >&2; " + kPrompt + "\n";
}

std::string Reseed(uint32_t seed) {
  // Every $? is the one before the line.
  const std::string word = std::string("\\") + kBuiltin;
  return word + " eval \"RANDOM=" + std::to_string(seed) + "; " + word +
         " printf '\\035R;%d\\036' $? >&2; [[ $? = 0 ]] || (" + word + " exit $?)\"\n";
}

void PromptReader::TakePrompt(std::vector<Ended>* ended) {
  const std::optional<Prompt> prompt = Parse(line_);
  if (!prompt) return;
  if (prompt->is_repair) {
    ended->push_back({prompt->status, true});
    skips_next_ = true;
    return;
  }
  // The same number again: nothing was run in between, a signal came while it waited.
  if (prompt->number <= last_number_) return;
  last_number_ = prompt->number;
  if (!std::exchange(skips_next_, false)) ended->push_back({prompt->status, false});
}

std::vector<PromptReader::Ended> PromptReader::Read(std::string_view bytes) {
  std::vector<Ended> ended;
  for (const char c : bytes) {
    if (c == kBegin) {
      in_prompt_ = true;
      line_.clear();
    } else if (in_prompt_ && c == kFinish) {
      in_prompt_ = false;
      TakePrompt(&ended);
    } else if (in_prompt_ && line_.size() < kLongest) {
      line_ += c;
    } else {
      in_prompt_ = false;
    }
  }
  return ended;
}

}  // namespace cordon::live
