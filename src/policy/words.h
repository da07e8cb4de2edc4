#ifndef CORDON_POLICY_WORDS_H_
#define CORDON_POLICY_WORDS_H_

// Commands and patterns that were written as one line of text.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cordon::policy {

// The words of a simple command with a shell's quoting: '…', "…" and \. None if it is anything
// else: an open quote, or a character outside quotes that a shell would act on.
[[nodiscard]] std::optional<std::vector<std::string>> SplitCommand(std::string_view line);
// The same for patterns, in which `*` stands for itself.
[[nodiscard]] std::optional<std::vector<std::string>> SplitPattern(std::string_view line);

// `*` is any characters; everything else is itself.
[[nodiscard]] bool MatchesStar(std::string_view pattern, std::string_view text);

// Word for word. A word `*` is any number of arguments, none too; a `*` at the end of the last
// word stands for further arguments as well.
[[nodiscard]] bool MatchesCommand(const std::vector<std::string>& pattern,
                                  const std::vector<std::string>& argv);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_WORDS_H_
