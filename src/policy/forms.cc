#include "policy/forms.h"

#include <algorithm>
#include <charconv>

#include "policy/host_rule.h"
#include "policy/words.h"

namespace cordon::policy {
namespace {

bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

bool HasNoControl(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < ' '; });
}

bool HasParent(std::string_view path) {
  return std::ranges::count(PathComponents(path), "..") != 0;
}

bool IsPath(std::string_view text) {
  return !text.empty() && HasNoControl(text);
}
bool IsAbsolutePath(std::string_view text) {
  return IsPath(text) && text.front() == '/' && !HasParent(text);
}
bool IsInnerPath(std::string_view text) {
  return IsPath(text) && text.front() != '/' && text.front() != '~' && !HasParent(text) &&
         !PathComponents(text).empty() && text.find('*') == std::string_view::npos;
}
// What looks like an alternative, an exception or an escape would match nothing, and what it was to
// hide would be seen.
bool HasOtherSyntax(std::string_view text) {
  const size_t open = text.find('{');
  const size_t comma = text.find(',', std::min(open, text.size()));
  return text.front() == '!' || text.find('\\') != std::string_view::npos ||
         (comma != std::string_view::npos && text.find('}', comma) != std::string_view::npos);
}
bool IsGlob(std::string_view text) {
  return IsPath(text) && text.front() != '/' && text.front() != '~' && !HasParent(text) &&
         !PathComponents(text).empty() && !HasOtherSyntax(text);
}
bool IsVariablePattern(std::string_view text) {
  std::string name(text);
  std::ranges::replace(name, '*', 'x');
  return IsVariableName(name);
}
bool IsName(std::string_view text) {
  return !text.empty() && (IsLetter(text.front()) || IsDigit(text.front())) &&
         std::ranges::all_of(text, [](char c) {
           return IsLetter(c) || IsDigit(c) || c == '_' || c == '-' || c == '.' || c == ':';
         });
}
// An engine takes what begins with - for an option of its own, and what has :/ for another place
// than a registry.
bool IsImage(std::string_view text) {
  return !text.empty() && (IsLetter(text.front()) || IsDigit(text.front())) &&
         text.find(":/") == std::string_view::npos && std::ranges::all_of(text, [](char c) {
           return IsLetter(c) || IsDigit(c) || std::string_view("._-/:@").contains(c);
         });
}
bool IsContainerName(std::string_view text) {
  return !text.empty() &&
         (IsLetter(text.front()) || IsDigit(text.front()) || text.front() == '{') &&
         std::ranges::all_of(text, [](char c) {
           return IsLetter(c) || IsDigit(c) || std::string_view("._-{}").contains(c);
         });
}
bool IsDigest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  return text.starts_with(kPrefix) && text.size() == kPrefix.size() + 64 &&
         std::ranges::all_of(text.substr(kPrefix.size()),
                             [](char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); });
}
bool IsDecimal(std::string_view text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return error == std::errc() && end == text.data() + text.size() && value > 0 && value < 1e5;
}
bool IsHostRule(std::string_view text) {
  return ParseHostRule(text).has_value();
}
bool IsCapability(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return IsLetter(c) || c == '_'; });
}
bool IsPortNumber(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value > 0 && value < 65536;
}
bool IsPort(std::string_view text) {
  const size_t colon = text.find(':');
  return IsPortNumber(text.substr(0, colon)) &&
         (colon == std::string_view::npos || IsPortNumber(text.substr(colon + 1)));
}
bool IsCommand(std::string_view text) {
  const auto words = SplitPattern(text);
  return words && !words->empty() && !words->front().empty();
}

struct Form {
  std::string_view name;
  bool (*accepts)(std::string_view);
  const char* expected;
};
constexpr Form kForms[] = {
    {"path", IsPath, "a path"},
    {"absolute-path", IsAbsolutePath, "a path that begins with / and has no .."},
    {"inner-path", IsInnerPath, "a path inside the workspace: relative, without .. and *"},
    {"glob", IsGlob,
     "a pattern for paths inside the workspace: relative, without .., \\, {a,b} and ! at its "
     "beginning"},
    {"variable", IsVariableName, "the name of a variable"},
    {"variable-pattern", IsVariablePattern, "the name of a variable, * for any characters"},
    {"name", IsName, "a name of letters, digits, _ - . :"},
    {"profile", IsName, "the name of a profile"},
    {"image", IsImage, "the name of an image: letters, digits, . _ - / : @, no - at its beginning"},
    {"container-name", IsContainerName,
     "a name of letters, digits, . _ -, {profile} and {workspace_hash}"},
    {"digest", IsDigest, "sha256: and 64 lower-case hexadecimal digits"},
    {"decimal", IsDecimal, "a number above 0"},
    {"host-rule", IsHostRule, "a host, *.domain, an address or a range, with :port or without"},
    {"capability", IsCapability, "a capability"},
    {"port", IsPort, "a port, or two with a colon"},
    {"command", IsCommand, "a simple command: words, quoted where a shell would act on them"},
};

// "a, b or c"
std::string ListChoices(std::string_view choices) {
  std::string text;
  for (size_t at = 0; at <= choices.size();) {
    const size_t end = std::min(choices.find('|', at), choices.size());
    if (at > 0) text += end == choices.size() ? " or " : ", ";
    text += choices.substr(at, end - at);
    at = end + 1;
  }
  return text;
}

bool IsChoice(std::string_view choices, std::string_view text) {
  return text.find('|') == std::string_view::npos &&
         ("|" + std::string(choices) + "|").find("|" + std::string(text) + "|") !=
             std::string::npos;
}

}  // namespace

bool IsVariableName(std::string_view text) {
  return !text.empty() && (IsLetter(text.front()) || text.front() == '_') &&
         std::ranges::all_of(text, [](char c) { return IsLetter(c) || IsDigit(c) || c == '_'; });
}

std::vector<std::string> PathComponents(std::string_view path) {
  std::vector<std::string> components;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") components.emplace_back(part);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return components;
}

std::string ExpectedForm(std::string_view form, std::string_view text) {
  if (form.empty()) return {};
  if (form.find('|') != std::string_view::npos) {
    return IsChoice(form, text) ? std::string() : ListChoices(form);
  }
  const Form* known = std::ranges::find(kForms, form, &Form::name);
  if (known == std::end(kForms)) return "a form that the schema knows";
  return known->accepts(text) ? std::string() : known->expected;
}

}  // namespace cordon::policy
