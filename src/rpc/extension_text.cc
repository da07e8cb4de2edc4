#include "rpc/extension_text.h"

#include <algorithm>
#include <optional>

namespace cordon::rpc {
namespace {

constexpr const char* kUsage =
    "usage: extensions list [--category CATEGORY] [--json] | extensions info NAME\n";

CommandOutput Refuse(const std::string& reason) {
  return {{}, "extensions: " + reason + "\n" + kUsage, 1};
}

std::string ListAsText(const std::vector<const ExtensionFacts*>& listed) {
  size_t width = 0;
  for (const ExtensionFacts* facts : listed) width = std::max(width, facts->name.size());
  std::string text;
  for (const ExtensionFacts* facts : listed) {
    text += facts->name + std::string(width - facts->name.size() + 2, ' ') + facts->description;
    if (!facts->category.empty()) text += " [" + facts->category + "]";
    text += "\n";
  }
  return text;
}

CommandOutput List(const std::vector<std::string>& arguments,
                   const std::map<std::string, ExtensionFacts>& known) {
  std::optional<std::string> category;
  bool as_json = false;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--json") {
      as_json = true;
    } else if (argument.starts_with("--category=")) {
      category = argument.substr(argument.find('=') + 1);
    } else if (argument == "--category" && i + 1 < arguments.size()) {
      category = arguments[++i];
    } else {
      return Refuse("list: unknown argument '" + argument + "'");
    }
  }
  std::vector<const ExtensionFacts*> listed;
  for (const auto& [name, facts] : known) {
    if (!category || facts.category == *category) listed.push_back(&facts);
  }
  if (!as_json) return {ListAsText(listed), {}, 0};
  Json list = Json::array();
  for (const ExtensionFacts* facts : listed) list.push_back(ToJson(*facts));
  return {list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n", {}, 0};
}

CommandOutput Info(const std::vector<std::string>& arguments,
                   const std::map<std::string, ExtensionFacts>& known) {
  if (arguments.size() != 2) return Refuse("info: a name is needed");
  const auto found = known.find(arguments[1]);
  if (found == known.end()) return {{}, "extensions: '" + arguments[1] + "' not found\n", 1};
  const ExtensionFacts& facts = found->second;
  std::string text = "Name: " + facts.name + "\n";
  const auto add = [&text](const char* label, const std::string& value) {
    if (!value.empty()) text += std::string(label) + ": " + value + "\n";
  };
  add("Description", facts.description);
  add("Category", facts.category);
  add("Usage", facts.usage);
  if (!facts.examples.empty()) text += "Examples:\n";
  for (const std::string& example : facts.examples) text += "  " + example + "\n";
  if (!facts.package_version.empty()) {
    add("Python package", PackageNameOf(facts.name) + " " + facts.package_version);
    add("Summary", facts.package_summary);
  }
  return {text, {}, 0};
}

}  // namespace

std::string PackageNameOf(const std::string& extension) {
  std::string name = extension;
  for (char& c : name) {
    if (c == '-' || c == '.' || c == '+') c = '_';
  }
  return name;
}

Json ToJson(const ExtensionFacts& facts) {
  Json json = {{"name", facts.name}, {"description", facts.description}};
  if (!facts.usage.empty()) json["usage"] = facts.usage;
  if (!facts.category.empty()) json["category"] = facts.category;
  if (!facts.examples.empty()) json["examples"] = facts.examples;
  if (!facts.package_version.empty()) {
    json["pythonPackage"] = {{"name", PackageNameOf(facts.name)},
                             {"version", facts.package_version},
                             {"summary", facts.package_summary}};
  }
  return json;
}

CommandOutput ExtensionsCommand(const std::vector<std::string>& arguments,
                                const std::map<std::string, ExtensionFacts>& known) {
  if (arguments.empty()) return Refuse("a subcommand is needed");
  if (arguments[0] == "--help" || arguments[0] == "-h") return {kUsage, {}, 0};
  if (arguments[0] == "list") return List(arguments, known);
  if (arguments[0] == "info") return Info(arguments, known);
  return Refuse("unknown subcommand '" + arguments[0] + "'");
}

}  // namespace cordon::rpc
