#include "cli/option_list.h"

#include <algorithm>

namespace cordon::cli {

OptionList::OptionList(CLI::App* command, std::span<const std::string> words)
    : command_(command), has_all_(words.empty()) {
  for (const std::string_view word : words) {
    if (word == "--") break;
    if (word.size() < 2 || word[0] != '-') continue;
    words_.push_back(word.substr(0, word.starts_with("--") ? word.find('=') : word.npos));
  }
  if (HasOne("-h") || HasOne("--help")) has_all_ = true;
}

bool OptionList::Has(std::string_view names) const {
  if (has_all_) return true;
  for (;;) {
    const size_t comma = names.find(',');
    if (HasOne(names.substr(0, comma))) return true;
    if (comma == std::string_view::npos) return false;
    names.remove_prefix(comma + 1);
  }
}

// Short ones stand together, and their values with them: what looks like one may be one.
bool OptionList::HasOne(std::string_view name) const {
  const bool is_long = name.starts_with("--");
  return std::ranges::any_of(words_, [&](std::string_view word) {
    if (is_long || word.starts_with("--")) return word == name;
    return word.find(name[1], 1) != std::string_view::npos;
  });
}

}  // namespace cordon::cli
