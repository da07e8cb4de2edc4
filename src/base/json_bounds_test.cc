#include "base/json_bounds.h"

#include <gtest/gtest.h>

#include <string>

namespace cordon {
namespace {

TEST(JsonBoundsTest, CountsLevels) {
  EXPECT_TRUE(IsWithin("", {0}));
  EXPECT_TRUE(IsWithin("1", {0}));
  EXPECT_FALSE(IsWithin("[]", {0}));
  EXPECT_TRUE(IsWithin(R"([{"a":[]},[[]],{}])", {3}));
  EXPECT_FALSE(IsWithin(R"([{"a":[]},[[]],{}])", {2}));
  EXPECT_FALSE(IsWithin(std::string(1'000'000, '['), {32}));
  EXPECT_TRUE(IsWithin("]]]]", {0}));
}

TEST(JsonBoundsTest, WordsAreNoLevels) {
  EXPECT_TRUE(IsWithin(R"(["[[[[{{{", "\"[[[[,,,,", "\\"])", {1, 4}));
  EXPECT_FALSE(IsWithin(R"(["\\", [[]]])", {2}));
  EXPECT_FALSE(IsWithin(R"(["\\\"[[[", [[]]])", {2}));
}

TEST(JsonBoundsTest, CountsValues) {
  EXPECT_TRUE(IsWithin("[0,0,0]", {1, 4}));
  EXPECT_FALSE(IsWithin("[0,0,0]", {1, 3}));
  EXPECT_FALSE(IsWithin(R"({"a":1,"b":2,"c":[]})", {2, 4}));
  EXPECT_TRUE(IsWithin(R"({"a":1,"b":2,"c":[]})", {2, 5}));
}

}  // namespace
}  // namespace cordon
