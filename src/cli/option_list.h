#ifndef CORDON_CLI_OPTION_LIST_H_
#define CORDON_CLI_OPTION_LIST_H_

#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cordon::cli {

// The options of a command that starts others. Describing forty of them to the parser takes as long
// as the wall's mounts: only those are described that the command line names.
class OptionList {
 public:
  // `words` of the command line; every option if there are none or they ask for help.
  explicit OptionList(CLI::App* command, std::span<const std::string> words = {});

  // `names` as the parser takes them: "-e,--env". Null if nobody names it: then nothing need be
  // said about it.
  template <typename Value>
  CLI::Option* Add(const char* names, Value& value, const char* about) {
    return Has(names) ? command_->add_option(names, value, about) : nullptr;
  }
  // One value each time that it is named.
  CLI::Option* Add(const char* names, std::vector<std::string>& values, const char* about) {
    return Has(names) ? command_->add_option(names, values, about)->allow_extra_args(false)
                      : nullptr;
  }
  CLI::Option* AddFlag(const char* names, bool& value, const char* about) {
    return Has(names) ? command_->add_flag(names, value, about) : nullptr;
  }

 private:
  [[nodiscard]] bool Has(std::string_view names) const;
  [[nodiscard]] bool HasOne(std::string_view name) const;

  CLI::App* command_;
  bool has_all_;
  std::vector<std::string_view> words_;  // without values: "--env", "-ve"
};

}  // namespace cordon::cli

#endif  // CORDON_CLI_OPTION_LIST_H_
