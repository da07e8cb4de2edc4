#include "policy/yaml.h"

#include <gtest/gtest.h>

namespace cordon::policy {
namespace {

std::string FirstError(const std::string& text) {
  std::vector<Error> errors;
  (void)ReadYaml(text, "f.yaml", &errors);
  return errors.empty() ? "" : errors.front().ToString();
}

TEST(Yaml, EverythingKnowsItsPlace) {
  std::vector<Error> errors;
  const YamlNode root = ReadYaml("a: 1\nb:\n  - x\n  - \"off\"\n", "f.yaml", &errors);
  ASSERT_TRUE(errors.empty());
  ASSERT_EQ(root.entries.size(), 2U);
  EXPECT_EQ(root.entries[0].value.text, "1");
  EXPECT_EQ(root.entries[1].mark.line, 2);
  const YamlNode& quoted = root.entries[1].value.items[1];
  EXPECT_EQ(quoted.mark.line, 4);
  EXPECT_EQ(quoted.mark.column, 5);
  EXPECT_TRUE(quoted.quoted);
  EXPECT_FALSE(root.entries[1].value.items[0].quoted);
}

TEST(Yaml, EmptyTextIsAnEmptyMapping) {
  EXPECT_EQ(FirstError(""), "");
  EXPECT_EQ(FirstError("# nothing\n"), "");
}

TEST(Yaml, AliasesAreCopies) {
  std::vector<Error> errors;
  const YamlNode root = ReadYaml("a: &x [1, 2]\nb: *x\n", "f.yaml", &errors);
  ASSERT_TRUE(errors.empty());
  EXPECT_EQ(root.entries[1].value.items.size(), 2U);
}

TEST(Yaml, WhatIsWrongHasAPlace) {
  EXPECT_EQ(FirstError("a: 1\nb: 2\na: 3\n"), "f.yaml:3:1: 'a' is here twice, first in line 1");
  EXPECT_TRUE(FirstError("a: [1\n").starts_with("f.yaml:2:1: not YAML: "));
  EXPECT_TRUE(FirstError("a: *none\n").starts_with("f.yaml:1:4: no anchor 'none'"));
  EXPECT_EQ(FirstError("a: !!python/object 1\n"),
            "f.yaml:1:4: tags are not supported: tag:yaml.org,2002:python/object");
  EXPECT_EQ(FirstError("[a]: 1\n"), "f.yaml:1:1: a key must be a word, not a list");
  EXPECT_EQ(FirstError("a: 1\n---\nb: 1\n"), "f.yaml:2:1: a second document");
  EXPECT_EQ(FirstError("a: \"x\\0y\"\n"), "f.yaml:1:4: a NUL character");
}

TEST(Yaml, HostileSizesAreBounded) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i)
      bomb += std::string(i == 0 ? "*" : ",*") + static_cast<char>(c - 1);
    bomb += "]\n";
  }
  EXPECT_NE(FirstError(bomb).find("more than 20000 values"), std::string::npos);
  EXPECT_NE(FirstError(std::string(100, '[')).find("nested deeper"), std::string::npos);
  EXPECT_NE(FirstError(std::string(2 << 20, ' ')).find("larger than 1 MiB"), std::string::npos);
}

}  // namespace
}  // namespace cordon::policy
