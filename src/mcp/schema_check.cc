#include "mcp/schema_check.h"

#include <algorithm>
#include <cmath>

namespace cordon::mcp {
namespace {

using rpc::Json;

bool IsOfType(const std::string& type, const Json& value) {
  if (type == "object") return value.is_object();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "array") return value.is_array();
  if (type == "number") return value.is_number();
  if (type != "integer") return false;
  // 3.0 is an integer; so large a number is none of ours.
  constexpr double kLargest = 1e15;
  return value.is_number_integer() ||
         (value.is_number_float() && std::abs(value.get<double>()) < kLargest &&
          value.get<double>() == std::floor(value.get<double>()));
}

std::string CheckProperties(const Json& schema, const Json& value) {
  const Json known = schema.value("properties", Json::object());
  for (const Json& name : schema.value("required", Json::array())) {
    if (!value.contains(name.get<std::string>())) return name.get<std::string>() + " is required";
  }
  const Json others = schema.value("additionalProperties", Json(true));
  for (const auto& [name, member] : value.items()) {
    const auto found = known.find(name);
    if (found == known.end() && others == false) return "there is no " + name.substr(0, 100);
    const Json* below = found != known.end() ? &*found : others.is_object() ? &others : nullptr;
    const std::string wrong = below == nullptr ? "" : CheckAgainst(*below, member);
    if (!wrong.empty()) return name.substr(0, 100) + " " + wrong;
  }
  return {};
}

std::string CheckCount(const Json& schema, size_t count, const char* unit) {
  const char* const least = schema["type"] == "array" ? "minItems" : "minLength";
  const char* const most = schema["type"] == "array" ? "maxItems" : "maxLength";
  if (count < schema.value(least, size_t{0})) {
    return "must have at least " + schema[least].dump() + unit;
  }
  if (schema.contains(most) && count > schema[most].get<size_t>()) {
    return "must have at most " + schema[most].dump() + unit;
  }
  return {};
}

std::string CheckItems(const Json& schema, const Json& value) {
  std::string wrong = CheckCount(schema, value.size(), " items");
  for (size_t i = 0; wrong.empty() && schema.contains("items") && i < value.size(); ++i) {
    wrong = CheckAgainst(schema["items"], value[i]);
    if (!wrong.empty()) wrong.insert(0, "item " + std::to_string(i) + " ");
  }
  return wrong;
}

// As the schema counts: characters, each of which has one byte that continues none.
size_t LengthOf(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

}  // namespace

std::string CheckAgainst(const Json& schema, const Json& value) {
  const std::string type = schema.value("type", "object");
  if (!IsOfType(type, value)) return "must be of type " + type;
  if (schema.contains("enum")) {
    bool is_known = false;
    for (const Json& one : schema["enum"]) is_known |= one == value;
    if (!is_known) return "must be one of " + schema["enum"].dump();
  }
  if (schema.contains("minimum") && value < schema["minimum"]) {
    return "must be at least " + schema["minimum"].dump();
  }
  if (schema.contains("maximum") && value > schema["maximum"]) {
    return "must be at most " + schema["maximum"].dump();
  }
  if (value.is_string()) {
    return CheckCount(schema, LengthOf(value.get_ref<const std::string&>()), " characters");
  }
  if (value.is_array()) return CheckItems(schema, value);
  return value.is_object() ? CheckProperties(schema, value) : std::string();
}

}  // namespace cordon::mcp
