// Ignore rules, quoting, verdicts and differences of texts.

#include <gtest/gtest.h>

#include "base/plain_text.h"
#include "shadow/ignore.h"
#include "shadow/quote.h"
#include "shadow/text_diff.h"
#include "shadow/verdict.h"

namespace cordon::shadow {
namespace {

constexpr NodeType kFile = NodeType::kFile;
constexpr NodeType kFolder = NodeType::kDirectory;

bool IsIgnored(const std::string& rules, const std::string& path, NodeType type = kFile) {
  IgnoreRules ignore;
  ignore.Add(rules, "", "rules");
  return !ignore.Find(path, type).value_or("").empty();
}

TEST(Ignore, AsGitReadsThem) {
  EXPECT_TRUE(IsIgnored("*.o", "a/b/c.o"));
  EXPECT_FALSE(IsIgnored("*.o", "a/b.o/c"));
  EXPECT_TRUE(IsIgnored("/build", "build"));
  EXPECT_FALSE(IsIgnored("/build", "src/build"));
  EXPECT_TRUE(IsIgnored("build/", "src/build", kFolder));
  EXPECT_FALSE(IsIgnored("build/", "src/build", kFile));
  EXPECT_TRUE(IsIgnored("a/*.txt", "a/x.txt"));
  EXPECT_FALSE(IsIgnored("a/*.txt", "b/a/x.txt"));
  EXPECT_TRUE(IsIgnored("a/**/z", "a/z"));
  EXPECT_TRUE(IsIgnored("a/**/z", "a/b/c/z"));
  EXPECT_TRUE(IsIgnored("**/z", "z"));
  EXPECT_TRUE(IsIgnored("a/**", "a/b/c"));
  EXPECT_FALSE(IsIgnored("a/**", "a", kFolder));
  EXPECT_TRUE(IsIgnored("*.log\n!keep.log", "x.log"));
  EXPECT_FALSE(IsIgnored("*.log\n!keep.log", "keep.log"));
  EXPECT_TRUE(IsIgnored("# text\n\\#name", "#name"));
  EXPECT_FALSE(IsIgnored("# text", "# text"));
  EXPECT_TRUE(IsIgnored("\\!name", "!name"));
  EXPECT_TRUE(IsIgnored("trailing   ", "trailing"));
  EXPECT_TRUE(IsIgnored("kept\\ ", "kept "));
  EXPECT_TRUE(IsIgnored("[a-c]?[!x]", "b-y"));
  EXPECT_FALSE(IsIgnored("[a-c]?[!x]", "b-x"));
  EXPECT_TRUE(IsIgnored("[]-]", "]"));
  EXPECT_TRUE(IsIgnored("[", "["));
  EXPECT_TRUE(IsIgnored("a\r\n", "a"));
}

TEST(Ignore, RulesOfADirectoryHoldBelowIt) {
  IgnoreRules ignore;
  ignore.Add("/x\n*.t\n", "sub", "sub/.gitignore");
  EXPECT_EQ(ignore.Find("sub/x", kFile), "sub/.gitignore: /x");
  EXPECT_EQ(ignore.Find("x", kFile), std::nullopt);
  EXPECT_EQ(ignore.Find("sub/a/b.t", kFile), "sub/.gitignore: *.t");
  EXPECT_EQ(ignore.Find("subx/b.t", kFile), std::nullopt);
}

TEST(Ignore, ManyStarsTakeNoTime) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  EXPECT_FALSE(MatchesName(pattern + "b", std::string(250, 'a')));
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "**/a/";
  std::string path;
  for (int i = 0; i < 900; ++i) path += "a/";
  EXPECT_FALSE(IsIgnored(deep + "b", path + "c"));
}

TEST(Quote, NamesThatCannotBeMisreadStay) {
  EXPECT_EQ(QuoteName("src/main file.c"), "src/main file.c");
  EXPECT_EQ(QuoteName("ü/日本"), "ü/日本");
}

TEST(Quote, NamesThatWouldDrawAreEscaped) {
  EXPECT_EQ(QuoteName("-rf"), "\"-rf\"");
  EXPECT_EQ(QuoteName(""), "\"\"");
  EXPECT_EQ(QuoteName("a\nb\t"), "\"a\\nb\\t\"");
  EXPECT_EQ(QuoteName("\x1b[2J"), "\"\\033[2J\"");
  EXPECT_EQ(QuoteName("a\"b\\"), "\"a\\\"b\\\\\"");
  EXPECT_EQ(QuoteName("\xff\xc0\x80"), "\"\\377\\300\\200\"");
  EXPECT_EQ(QuoteName("\xc2\x9b"), "\"\\302\\233\"");  // a control character, C1
  EXPECT_EQ(QuoteName("a\xe2\x80\xaetxt.exe"), "\"a\\342\\200\\256txt.exe\"");  // turns the line
  EXPECT_EQ(QuoteName("\xf3\xa0\x81\x81"), "\"\\363\\240\\201\\201\"");         // a tag
  EXPECT_EQ(PlainLine("a\tb\r\x1b]52;c;x\x07\x9b"), "a\tb\\x0d\\x1b]52;c;x\\x07\\x9b");
}

TEST(Quote, JsonSaysWhetherItIsExact) {
  bool is_exact = false;
  EXPECT_EQ(JsonText("ü", &is_exact), "ü");
  EXPECT_TRUE(is_exact);
  EXPECT_EQ(JsonText("a\xffz", &is_exact), "a\xef\xbf\xbdz");
  EXPECT_FALSE(is_exact);
}

Change Added(const std::string& path, Node node) {
  Change change;
  change.kind = ChangeKind::kAdd;
  change.path = path;
  change.after = std::move(node);
  return change;
}

std::string RefusalOf(const std::string& path, NodeType type = kFile, uint32_t mode = 0644) {
  return Judge(Added(path, {type, mode})).refusal;
}

TEST(Verdict, WhatTheHostWouldObeyIsRefused) {
  for (const char* path :
       {".git/hooks/pre-commit", ".git/config", "sub/.git/config", ".GIT/Config", ".bashrc",
        ".vscode/tasks.json", ".mcp.json", ".git/modules/x/config", "a/b/.git/hooks/x"}) {
    EXPECT_NE(RefusalOf(path), "") << path;
    EXPECT_TRUE(Judge(Added(path, {kFile, 0644})).yields_to_name) << path;
  }
  for (const char* path : {"src/main.c", ".gitignore", ".git/HEAD", "x.git/config", "bashrc"})
    EXPECT_EQ(RefusalOf(path), "") << path;
}

TEST(Verdict, ALinkOrAFileInThePlaceOfItsDirectoryIsToo) {
  EXPECT_NE(RefusalOf(".git", NodeType::kLink), "");
  EXPECT_NE(RefusalOf("sub/.git", kFile), "");
  EXPECT_NE(RefusalOf(".cargo", NodeType::kLink), "");
  EXPECT_EQ(RefusalOf(".cargo", kFolder), "");
  EXPECT_EQ(RefusalOf(".git", kFolder), "");
}

TEST(Verdict, SpecialFilesAndSetIdAre) {
  EXPECT_NE(RefusalOf("x", NodeType::kOther), "");
  EXPECT_NE(RefusalOf("x", kFile, 04755), "");
  EXPECT_NE(RefusalOf("x", kFile, 02755), "");
  EXPECT_FALSE(Judge(Added("x", {kFile, 04755})).yields_to_name);
  EXPECT_EQ(RefusalOf("x", kFile, 0777), "");
}

TEST(Verdict, OnlyTheProtectedPathItselfNamesIt) {
  const auto names = [](const char* name, const char* path) {
    return Names(name, Added(path, {kFile, 0644}));
  };
  EXPECT_TRUE(names(".git/hooks", ".git/hooks/pre-commit"));
  EXPECT_TRUE(names(".git/config", ".git/config"));
  EXPECT_FALSE(names(".git", ".git/config"));
  EXPECT_FALSE(names("", ".git/config"));
  EXPECT_FALSE(names("sub", "sub/.git/config"));
  Change hook = Added("x/hooks/pre-commit", {kFile, 0755});
  EXPECT_FALSE(Names("x/hooks", hook));
  hook.git_folders = {{"x"}};
  EXPECT_TRUE(Names("x/hooks", hook));
  EXPECT_FALSE(Names("x", hook));
}

TEST(Verdict, LinksThatLeadOutside) {
  EXPECT_TRUE(LeadsOutside("l", "/etc/passwd"));
  EXPECT_TRUE(LeadsOutside("l", "../x"));
  EXPECT_TRUE(LeadsOutside("a/l", "../../x"));
  EXPECT_TRUE(LeadsOutside("a/l", "../b/../../x/y"));
  EXPECT_FALSE(LeadsOutside("a/b/l", "../../x"));
  EXPECT_FALSE(LeadsOutside("l", "a/../b"));
}

TEST(TextDiff, IsUnified) {
  const Result<std::string> text = DiffTexts("1\n2\n3\n", "1\ntwo\n3\n");
  ASSERT_TRUE(text.has_value()) << text.error().ToString();
  EXPECT_EQ(*text, "@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n");
  EXPECT_EQ(*DiffTexts("same\n", "same\n"), "");
  EXPECT_EQ(*DiffTexts("", "x"), "@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n");
}

TEST(TextDiff, IsCutAtALimit) {
  std::string large;
  while (large.size() < kMaxDiffInput) large += "line " + std::to_string(large.size()) + "\n";
  const Result<std::string> text = DiffTexts("", large);
  ASSERT_TRUE(text.has_value());
  EXPECT_LE(text->size(), kMaxDiffOutput + 100);
  EXPECT_TRUE(text->ends_with("(the rest is left out)\n"));
}

}  // namespace
}  // namespace cordon::shadow
