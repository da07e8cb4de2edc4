#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <utility>

#include "cli/complain.h"

namespace cordon::cli {
namespace {

// Short ones stand together, and their values with them: what looks like one may be one.
bool Names(const std::vector<std::string>& words, std::string_view name) {
  const bool is_long = name.starts_with("--");
  return std::ranges::any_of(words, [&](std::string_view word) {
    if (is_long || word.starts_with("--")) return word == name;
    return word.find(name[1], 1) != std::string_view::npos;
  });
}

std::vector<CommandSummary::Item> OptionsOf(const CLI::App& app) {
  std::vector<CommandSummary::Item> items;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames())
      items.push_back({"--" + name, option->get_description()});
    for (const std::string& name : option->get_snames())
      items.push_back({"-" + name, option->get_description()});
  }
  return items;
}

std::vector<const CLI::App*> CommandsOf(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

}  // namespace

Option& Option::Required() {
  if (option_ != nullptr) option_->required();
  return *this;
}

Option& Option::From(const char* variable) {
  if (option_ != nullptr) option_->envname(variable);
  return *this;
}

Option& Option::OneOf(std::initializer_list<const char*> words) {
  if (option_ != nullptr) {
    option_->check(CLI::IsMember(std::vector<std::string>(words.begin(), words.end())));
  }
  return *this;
}

Option& Option::NotEmpty() {
  if (option_ != nullptr) {
    option_->check([](const std::string& value) -> std::string {
      return value.empty() ? "a value is needed, and this one is empty" : "";
    });
  }
  return *this;
}

Option& Option::Within(uint64_t least, uint64_t most) {
  if (option_ != nullptr) option_->check(CLI::Range(least, most));
  return *this;
}

Option& Option::Excludes(const Option& other) {
  if (option_ != nullptr && other.option_ != nullptr) option_->excludes(other.option_);
  return *this;
}

Option& Option::Needs(const Option& other) {
  if (option_ != nullptr && other.option_ != nullptr) option_->needs(other.option_);
  return *this;
}

bool Option::is_given() const {
  return option_ != nullptr && option_->count() != 0;
}

Command Command::AddCommand(const char* name, const char* about) {
  return Command(app_->add_subcommand(name, about));
}

void Command::NeedCommand() {
  app_->require_subcommand(1);
}

Command Command::AddChoice(const char* name) {
  CLI::App* group = app_->add_option_group(name);
  group->require_option(1);
  return Command(group);
}

template <typename Value>
Option Command::Describe(const char* names, Value& value, const char* about) {
  return Option(IsNamed(names) ? app_->add_option(names, value, about) : nullptr);
}

Option Command::AddOption(const char* names, std::string& value, const char* about) {
  return Describe(names, value, about);
}

Option Command::AddOption(const char* names, std::optional<std::string>& value, const char* about) {
  return Describe(names, value, about);
}

Option Command::AddOption(const char* names, uint64_t& value, const char* about) {
  return Describe(names, value, about);
}

Option Command::AddOption(const char* names, std::optional<int64_t>& value, const char* about) {
  return Describe(names, value, about);
}

Option Command::AddOption(const char* names, std::vector<std::string>& values, const char* about) {
  if (!IsNamed(names)) return Option(nullptr);
  CLI::Option* option = app_->add_option(names, values, about);
  if (names[0] == '-') option->allow_extra_args(false);
  return Option(option);
}

Option Command::AddFlag(const char* names, bool& value, const char* about) {
  return Option(IsNamed(names) ? app_->add_flag(names, value, about) : nullptr);
}

void Command::DescribeNamed(std::span<const std::string> words) {
  if (words.empty()) return;
  std::vector<std::string> named;
  for (const std::string& word : words) {
    if (word == "--") break;
    if (word.size() < 2 || word[0] != '-') continue;
    named.push_back(word.substr(0, word.starts_with("--") ? word.find('=') : word.npos));
  }
  if (Names(named, "-h") || Names(named, "--help")) return;
  named_ = std::make_shared<const std::vector<std::string>>(std::move(named));
}

bool Command::IsNamed(std::string_view names) const {
  if (named_ == nullptr || names[0] != '-') return true;
  for (;;) {
    const size_t comma = names.find(',');
    if (Names(*named_, names.substr(0, comma))) return true;
    if (comma == std::string_view::npos) return false;
    names.remove_prefix(comma + 1);
  }
}

void Command::Footer(const char* text) {
  app_->footer(text);
}

void Command::OnCall(std::function<void()> call) {
  app_->callback(std::move(call));
}

bool Command::IsGiven(const char* option) const {
  const CLI::Option* found = app_->get_option_no_throw(option);
  return found != nullptr && found->count() != 0;
}

void Command::Exclude(const char* option, Option& other) {
  other.Excludes(Option(app_->get_option_no_throw(option)));
}

void Command::FailMissing(const char* name) {
  throw CLI::RequiredError(name);
}

std::vector<CommandSummary> Command::Summaries() const {
  std::vector<CommandSummary> summaries;
  for (const CLI::App* command : CommandsOf(*app_)) {
    CommandSummary summary = {
        {command->get_name(), command->get_description()}, OptionsOf(*command), {}};
    for (const CLI::App* inner : CommandsOf(*command)) {
      summary.commands.push_back({inner->get_name(), inner->get_description()});
    }
    summaries.push_back(std::move(summary));
  }
  return summaries;
}

CommandLine::CommandLine(const char* version)
    : app_(std::make_unique<CLI::App>("Runs commands that nobody vouches for.", "cordon")) {
  app_->require_subcommand(1);
  app_->set_version_flag("--version", std::string("cordon ") + version);
}

CommandLine::~CommandLine() = default;

std::optional<CommandLine::Told> CommandLine::Parse(std::vector<std::string> words) {
  try {
    // The parser takes them from the back.
    std::ranges::reverse(words);
    app_->parse(std::move(words));
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      (void)app_->exit(error);  // prints what was asked for
      return Told::kHelp;
    }
    Complain(std::string(error.what()) + "; --help says what there is");
    return Told::kMistake;
  }
}

}  // namespace cordon::cli
