#include "mcp/schema_check.h"

#include <gtest/gtest.h>

namespace cordon::mcp {
namespace {

using rpc::Json;

const char* const kSchema =
    R"({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
  "a": {"type": "string"}, "n": {"type": "integer", "minimum": 1, "maximum": 9}, "b": {"type": "boolean"},
  "m": {"type": "object", "additionalProperties": {"type": "string"}}, "e": {"type": "string", "enum": ["x", "y"]},
  "l": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string", "minLength": 1, "maxLength": 2}}}})";

std::string Check(const char* value) {
  return CheckAgainst(Json::parse(kSchema), Json::parse(value));
}

TEST(SchemaCheckTest, TakesWhatFits) {
  EXPECT_EQ(Check(R"({"a": ""})"), "");
  EXPECT_EQ(Check(R"({"a": "x", "n": 9, "b": true, "m": {"k": "v"}, "e": "y"})"), "");
  EXPECT_EQ(Check(R"({"a": "x", "n": 3.0})"), "");
  EXPECT_EQ(Check(R"({"a": "x", "l": ["é€", "b"]})"), "");
}

TEST(SchemaCheckTest, SaysWhatDoesNot) {
  EXPECT_EQ(Check(R"([])"), "must be of type object");
  EXPECT_EQ(Check(R"({})"), "a is required");
  EXPECT_EQ(Check(R"({"a": 1})"), "a must be of type string");
  EXPECT_EQ(Check(R"({"a": "", "n": 0})"), "n must be at least 1");
  EXPECT_EQ(Check(R"({"a": "", "n": 10})"), "n must be at most 9");
  EXPECT_EQ(Check(R"({"a": "", "n": 1.5})"), "n must be of type integer");
  EXPECT_EQ(Check(R"({"a": "", "z": 1})"), "there is no z");
  EXPECT_EQ(Check(R"({"a": "", "m": {"k": 1}})"), "m k must be of type string");
  EXPECT_EQ(Check(R"({"a": "", "l": "x"})"), "l must be of type array");
  EXPECT_EQ(Check(R"({"a": "", "l": []})"), "l must have at least 1 items");
  EXPECT_EQ(Check(R"({"a": "", "l": ["", "b", "c"]})"), "l must have at most 2 items");
  EXPECT_EQ(Check(R"({"a": "", "l": ["a", 1]})"), "l item 1 must be of type string");
  EXPECT_EQ(Check(R"({"a": "", "l": ["a", ""]})"), "l item 1 must have at least 1 characters");
  EXPECT_EQ(Check(R"({"a": "", "l": ["abc"]})"), "l item 0 must have at most 2 characters");
  EXPECT_EQ(Check(R"({"a": "", "e": "z"})"), "e must be one of [\"x\",\"y\"]");
}

}  // namespace
}  // namespace cordon::mcp
