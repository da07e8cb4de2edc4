#include "policy/requirements.h"

#include <algorithm>
#include <utility>

namespace cordon::policy {
namespace {

using Kind = RequirementLine::Kind;

bool IsBlank(char c) {
  return c == ' ' || c == '\t';
}
bool IsLetterOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// pip obeys a line about the text's encoding, and Python's idea of where lines end is wider.
Status CheckText(std::string_view text) {
  constexpr std::string_view kLineEnds[] = {"\v",   "\f",       "\x1c",         "\x1d",
                                            "\x1e", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
  constexpr std::string_view kMarks[] = {"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"};
  const bool is_strange =
      text.find('\0') != std::string_view::npos ||
      std::ranges::any_of(
          kLineEnds,
          [&](std::string_view end) { return text.find(end) != std::string_view::npos; }) ||
      std::ranges::any_of(kMarks, [&](std::string_view mark) { return text.starts_with(mark); });
  if (is_strange) return Fail(ErrorCode::kInvalid, "is not a plain text of lines");
  size_t end = text.find('\n');
  if (end != std::string_view::npos) end = text.find('\n', end + 1);
  const std::string_view start = text.substr(0, end);
  if (start.find("coding:") != std::string_view::npos ||
      start.find("coding=") != std::string_view::npos) {
    return Fail(ErrorCode::kInvalid, "names its encoding, which pip obeys: 'coding' above");
  }
  return {};
}

std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find_first_of("\r\n");
  const std::string_view line = text->substr(0, end);
  if (end == std::string_view::npos) {
    *text = {};
  } else {
    text->remove_prefix(text->substr(end).starts_with("\r\n") ? end + 2 : end + 1);
  }
  return line;
}

bool IsComment(std::string_view line) {
  const size_t start = line.find_first_not_of(" \t");
  return start != std::string_view::npos && line[start] == '#';
}

std::string_view WithoutComment(std::string_view line) {
  for (size_t at = 0; at < line.size(); ++at) {
    if (line[at] == '#' && (at == 0 || IsBlank(line[at - 1]))) return line.substr(0, at);
  }
  return line;
}

std::string_view WithoutEnds(std::string_view text, std::string_view characters) {
  text.remove_prefix(std::min(text.find_first_not_of(characters), text.size()));
  return text.substr(0, text.find_last_not_of(characters) + 1);
}

// As pip joins them: nothing between, a comment ends what goes on.
std::vector<std::pair<size_t, std::string>> JoinLines(std::string_view text) {
  std::vector<std::pair<size_t, std::string>> joined;
  std::string begun;
  size_t first = 0;
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = TakeLine(&text);
    if (begun.empty()) first = number;
    if (line.ends_with('\\') && !IsComment(line)) {
      begun += WithoutEnds(line, "\\");
      if (begun.empty()) begun = " ";
      continue;
    }
    joined.emplace_back(first, begun + (IsComment(line) ? " " : "") + std::string(line));
    begun.clear();
  }
  if (!begun.empty()) joined.emplace_back(first, begun);
  return joined;
}

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  while (!(text = WithoutEnds(text, " \t")).empty()) {
    const std::string_view word = text.substr(0, text.find_first_of(" \t"));
    words.emplace_back(word);
    text.remove_prefix(word.size());
  }
  return words;
}

// A name, versions, extras and markers: nothing that could be an address or a path.
bool IsPlainName(std::string_view text) {
  constexpr std::string_view kOthers = " \t.,<>=!~*+_()[];'\"-";
  constexpr std::string_view kArchives[] = {".zip", ".gz",  ".tgz", ".tar", ".bz2", ".tbz",
                                            ".xz",  ".txz", ".lz",  ".tlz", ".lzma"};
  if (text.empty() || !IsLetterOrDigit(text.front())) return false;
  const bool is_plain = std::ranges::all_of(text, [&](char c) {
    return IsLetterOrDigit(c) || kOthers.find(c) != std::string_view::npos;
  });
  if (!is_plain) return false;
  // A file of that name would be taken as it is.
  std::string path(WithoutEnds(text.substr(0, text.find_first_of(";[")), " \t"));
  std::ranges::transform(path, path.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return std::ranges::none_of(kArchives,
                              [&](std::string_view archive) { return path.ends_with(archive); });
}

struct Option {
  std::string name;
  std::string value;
};

// "--name=value", "--name value", "--name"; the value of an option that has one.
Option TakeOption(const std::vector<std::string>& words, size_t* at, bool has_value) {
  const std::string& word = words[(*at)++];
  const size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
  Option option = {word.substr(0, equals), {}};
  if (equals != std::string::npos) {
    option.value = word.substr(equals + 1);
  } else if (has_value && *at < words.size()) {
    option.value = words[(*at)++];
  }
  return option;
}

bool IsOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

// Of a line of options alone.
RequirementLine ReadOptions(const std::vector<std::string>& words) {
  RequirementLine line = {Kind::kPlain, 0, {}};
  for (size_t at = 0; at < words.size();) {
    const std::string name = words[at].substr(0, words[at].find('='));
    const bool is_file = IsOneOf(name, {"-r", "--requirement", "-c", "--constraint"});
    const bool is_index = IsOneOf(name, {"-i", "--index-url", "--extra-index-url", "-f",
                                         "--find-links", "--trusted-host", "--only-binary"});
    const bool is_flag =
        IsOneOf(name, {"--pre", "--require-hashes", "--prefer-binary", "--no-index"});
    const Option option = TakeOption(words, &at, is_file || is_index);
    // Quotes and backslashes are taken out, and variables put in, before the option is read.
    const bool is_quoted =
        option.value.find_first_of(is_file ? "'\"\\$" : "'\"\\") != std::string::npos;
    const bool allows_builds = name == "--only-binary" && option.value != ":all:";
    if (!(is_file || is_index || is_flag) || is_quoted || allows_builds ||
        (is_file && words.size() > at)) {
      return {Kind::kOther, 0, {}};
    }
    if (is_file) line = {at == words.size() ? Kind::kFile : Kind::kOther, 0, option.value};
  }
  return line;
}

RequirementLine ReadLine(const std::string& text) {
  const std::vector<std::string> words = Words(text);
  const auto options =
      std::ranges::find_if(words, [](const std::string& word) { return word.starts_with('-'); });
  if (options == words.begin()) return ReadOptions(words);
  std::string name;
  for (auto word = words.begin(); word != options; ++word)
    name += (name.empty() ? "" : " ") + *word;
  const std::vector<std::string> rest(options, words.end());
  for (size_t at = 0; at < rest.size();) {
    const Option option = TakeOption(rest, &at, true);
    const bool is_hash = option.name == "--hash" && std::ranges::all_of(option.value, [](char c) {
                           return IsLetterOrDigit(c) || c == ':';
                         });
    if (!is_hash) return {};
  }
  return {IsPlainName(name) ? Kind::kPlain : Kind::kOther, 0, {}};
}

}  // namespace

Result<std::vector<RequirementLine>> ReadRequirements(std::string_view text) {
  CORDON_TRY(CheckText(text));
  std::vector<RequirementLine> lines;
  for (const auto& [number, joined] : JoinLines(text)) {
    const std::string words(WithoutEnds(WithoutComment(joined), " \t"));
    if (words.empty()) continue;
    RequirementLine line = ReadLine(words);
    line.number = number;
    if (line.kind != Kind::kFile) line.text = words;
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace cordon::policy
