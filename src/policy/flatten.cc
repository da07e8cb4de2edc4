// Configuration files of package managers as keys and values.

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "policy/hosts.h"
#include "policy/yaml.h"

namespace cordon::policy {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;
constexpr int kMaxDepth = 24;

std::string Join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t start = std::min(text.find_first_not_of(kBlank), text.size());
  text.remove_prefix(start);
  text.remove_suffix(text.size() - std::min(text.find_last_not_of(kBlank) + 1, text.size()));
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
      text.back() == text.front()) {
    text = text.substr(1, text.size() - 2);
  }
  return text;
}

Pairs FlattenIni(std::string_view text) {
  Pairs pairs;
  std::string section;
  std::string last_key;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view words = Trim(line);
    if (words.empty() || words.front() == '#' || words.front() == ';') continue;
    if (words.front() == '[' && words.back() == ']') {
      section = words.substr(1, words.size() - 2);
      last_key.clear();
      continue;
    }
    const size_t equals = words.find('=');
    // A line that begins with a blank goes on with the value before it.
    if ((line.front() == ' ' || line.front() == '\t') && !last_key.empty()) {
      pairs.emplace_back(last_key, Trim(words));
    } else if (equals != std::string_view::npos) {
      last_key = Join(section, Trim(words.substr(0, equals)));
      pairs.emplace_back(last_key, Trim(words.substr(equals + 1)));
    }
  }
  return pairs;
}

void FlattenToml(const toml::node& node, const std::string& path, int depth, Pairs* pairs) {
  if (depth > kMaxDepth) return;
  if (const toml::table* table = node.as_table()) {
    for (const auto& [key, value] : *table)
      FlattenToml(value, Join(path, key.str()), depth + 1, pairs);
  } else if (const toml::array* array = node.as_array()) {
    for (size_t i = 0; i < array->size(); ++i) {
      FlattenToml(*array->get(i), Join(path, std::to_string(i)), depth + 1, pairs);
    }
  } else if (const auto* text = node.as_string()) {
    pairs->emplace_back(path, text->get());
  }
}

void FlattenJson(const nlohmann::json& node, const std::string& path, int depth, Pairs* pairs) {
  if (depth > kMaxDepth) return;
  if (node.is_object()) {
    for (const auto& [key, value] : node.items()) {
      FlattenJson(value, Join(path, key), depth + 1, pairs);
    }
  } else if (node.is_array()) {
    for (size_t i = 0; i < node.size(); ++i) {
      FlattenJson(node[i], Join(path, std::to_string(i)), depth + 1, pairs);
    }
  } else if (node.is_string()) {
    pairs->emplace_back(path, node.get<std::string>());
  }
}

void FlattenYaml(const YamlNode& node, const std::string& path, Pairs* pairs) {
  if (node.kind == YamlNode::Kind::kScalar) pairs->emplace_back(path, node.text);
  for (const YamlEntry& entry : node.entries)
    FlattenYaml(entry.value, Join(path, entry.key), pairs);
  for (size_t i = 0; i < node.items.size(); ++i) {
    FlattenYaml(node.items[i], Join(path, std::to_string(i)), pairs);
  }
}

// nlohmann-json's parser keeps its stack on the heap, but what it builds is walked recursively.
bool IsTooDeep(std::string_view text) {
  constexpr int kLimit = 200;
  int depth = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (depth > kLimit) return true;
  }
  return false;
}

}  // namespace

Pairs Flatten(SourceFormat format, std::string_view text) {
  Pairs pairs;
  switch (format) {
    case SourceFormat::kIni:
      return FlattenIni(text);
    case SourceFormat::kToml:
      if (IsTooDeep(text)) return pairs;
      if (const toml::parse_result parsed = toml::parse(text); parsed.succeeded()) {
        FlattenToml(parsed.table(), {}, 0, &pairs);
      }
      return pairs;
    case SourceFormat::kJson:
      if (IsTooDeep(text)) return pairs;
      FlattenJson(nlohmann::json::parse(text, nullptr, false), {}, 0, &pairs);
      return pairs;
    case SourceFormat::kYaml: {
      std::vector<Error> ignored;
      FlattenYaml(ReadYaml(text, {}, &ignored), {}, &pairs);
      return pairs;
    }
    case SourceFormat::kValue:
      pairs.emplace_back("", text);
      return pairs;
    case SourceFormat::kText:
      break;
  }
  return pairs;
}

}  // namespace cordon::policy
