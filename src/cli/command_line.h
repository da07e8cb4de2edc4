#ifndef CORDON_CLI_COMMAND_LINE_H_
#define CORDON_CLI_COMMAND_LINE_H_

// The parser of the command line (CLI11), which only this knows: its header takes seconds to
// compile and makes its validators anew in every file that includes it, before `main`.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace cordon::cli {

// One that nobody names and that therefore is not described has all of this without effect.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option& Required();
  // Its value where the line has none.
  Option& From(const char* variable);
  Option& OneOf(std::initializer_list<const char*> words);
  Option& Within(uint64_t least, uint64_t most);
  // What a script's variable holds that was never set is no value.
  Option& NotEmpty();
  Option& Excludes(const Option& other);
  Option& Needs(const Option& other);
  [[nodiscard]] bool is_given() const;

 private:
  CLI::Option* option_;
};

struct CommandSummary {
  struct Item {
    std::string name;  // an option's with its dashes
    std::string about;
  };
  Item command;
  std::vector<Item> options;
  std::vector<Item> commands;
};

// A view; the CommandLine has it. Names are as in "-e,--env"; without dashes it is a word. `value`
// lives until the line was parsed, or until what OnCall was given has gone.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  Command AddCommand(const char* name, const char* about);
  void NeedCommand();
  // Exactly one of its options is given.
  Command AddChoice(const char* name);

  Option AddOption(const char* names, std::string& value, const char* about);
  Option AddOption(const char* names, std::optional<std::string>& value, const char* about);
  Option AddOption(const char* names, uint64_t& value, const char* about);
  Option AddOption(const char* names, std::optional<int64_t>& value, const char* about);
  // One value each time that it is named; a word takes all that are left.
  Option AddOption(const char* names, std::vector<std::string>& values, const char* about);
  Option AddFlag(const char* names, bool& value, const char* about);

  // From here on only options that `words` name are described, unless there are none or they ask
  // for help: describing forty takes as long as the native wall's mounts.
  void DescribeNamed(std::span<const std::string> words);

  void Footer(const char* text);
  // If it was given.
  void OnCall(std::function<void()> call);
  [[nodiscard]] bool IsGiven(const char* option) const;
  // Of an option that was described before.
  void Exclude(const char* option, Option& other);
  // To be called from OnCall.
  [[noreturn]] static void FailMissing(const char* name);

  [[nodiscard]] std::vector<CommandSummary> Summaries() const;

 private:
  template <typename Value>
  Option Describe(const char* names, Value& value, const char* about);
  [[nodiscard]] bool IsNamed(std::string_view names) const;

  CLI::App* app_;
  std::shared_ptr<const std::vector<std::string>> named_;  // without values; null: all
};

class CommandLine {
 public:
  explicit CommandLine(const char* version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  [[nodiscard]] Command root() { return Command(app_.get()); }
  // Nothing if a command was called; otherwise what was wrong or asked for has been printed, and
  // this is whether it was asked for.
  enum class Told { kHelp, kMistake };
  [[nodiscard]] std::optional<Told> Parse(std::vector<std::string> words);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace cordon::cli

#endif  // CORDON_CLI_COMMAND_LINE_H_
