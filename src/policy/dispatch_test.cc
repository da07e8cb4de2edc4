#include "policy/dispatch.h"

#include <gtest/gtest.h>

#include "policy/words.h"

namespace cordon::policy {
namespace {

using Argv = std::vector<std::string>;

TEST(Words, QuotingIsAShells) {
  EXPECT_EQ(SplitCommand("npm  ci"), Argv({"npm", "ci"}));
  EXPECT_EQ(SplitCommand("a 'b c' \"d \\\" e\" f\\ g ''"), Argv({"a", "b c", "d \" e", "f g", ""}));
  for (const char* text : {"a; b", "a && b", "a | b", "a > b", "$(a)", "`a`", "a $B", "'a", "\"a",
                           "a \\", "a *", "~/a", "\"$A\""}) {
    EXPECT_FALSE(SplitCommand(text).has_value()) << text;
  }
}

TEST(Words, PatternsAreMatchedWordForWord) {
  const auto matches = [](const char* pattern, const Argv& argv) {
    return MatchesCommand(*SplitPattern(pattern), argv);
  };
  EXPECT_TRUE(matches("npm install", {"npm", "install"}));
  EXPECT_FALSE(matches("npm install", {"npm", "install", "x"}));
  EXPECT_TRUE(matches("npm install*", {"npm", "install", "x", "y"}));
  EXPECT_TRUE(matches("npm i *", {"npm", "i"}));
  EXPECT_TRUE(matches("npm i *", {"npm", "i", "x"}));
  EXPECT_TRUE(matches("* build", {"make", "-j", "build"}));
  EXPECT_FALSE(matches("npm install*", {"npm install", "x"}));
  EXPECT_FALSE(matches("npm*", {"echo", "npm"}));
  EXPECT_TRUE(matches("python3.* -m pip *", {"python3.11", "-m", "pip", "list"}));
}

TEST(Words, StarsAreLinear) {
  EXPECT_FALSE(MatchesStar("*a*a*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
}

TEST(Dispatch, ACommandIsReadAsAPersonWould) {
  const Argv install = {"npm", "install"};
  const std::vector<Argv> spellings = {{"npm", "i"},
                                       {"npx", "npm", "i"},
                                       {"/usr/bin/npm", "install"},
                                       {"env", "A=b", "npm", "add"},
                                       {"env", "-i", "-u", "X", "A=b", "C=d", "npm", "install"},
                                       {"sh", "-c", "npm   install"},
                                       {"bash", "-lc", "A=b npm i"},
                                       {"nice", "-n", "5", "npm", "i"},
                                       {"timeout", "-k", "3", "10", "npm", "i"},
                                       {"npm", "--prefix", "x", "install"},
                                       {"npm", "--silent", "i"},
                                       {"npx", "-y", "npm@10", "install"},
                                       {"corepack", "npm", "install"},
                                       {"env", "nice", "/bin/sh", "-c", "/usr/bin/npm 'i'"},
                                       {"npm", "exec", "--", "npm", "i"}};
  for (const Argv& argv : spellings)
    EXPECT_EQ(ReadCommand(argv).back(), install) << JoinCommand(argv);
  EXPECT_EQ(ReadCommand({"python3", "-m", "pip", "install", "x"}).back(),
            Argv({"pip", "install", "x"}));
  EXPECT_EQ(ReadCommand({"pip3.11", "install"}).back(), Argv({"pip", "install"}));
  EXPECT_EQ(ReadCommand({"yarn"}).back(), Argv({"yarn", "install"}));
  EXPECT_EQ(ReadCommand({"cargo", "b"}).back(), Argv({"cargo", "build"}));
}

TEST(Dispatch, WhatOnlyLooksLikeOneIsNone) {
  std::string pattern;
  const Manager& npm = *FindManager("npm");
  const std::vector<Argv> others = {{"echo", "npm", "install"},
                                    {"sh", "-c", "npm install; id"},
                                    {"sh", "npm", "install"},
                                    {"npm", "run", "install"},
                                    {"npm", "--version"},
                                    {"env", "-S", "npm install"},
                                    {"npm", "--prefix", "install"},
                                    {"npm", "install-test"},
                                    {"npmx", "install"}};
  for (const Argv& argv : others) {
    EXPECT_EQ(TaskOf(npm, ReadCommand(argv), &pattern), ManagerTask::kNone) << JoinCommand(argv);
  }
}

TEST(Dispatch, TasksOfManagers) {
  struct Case {
    const char* manager;
    Argv argv;
    ManagerTask task;
  };
  const Case cases[] = {{"npm", {"npm", "ci"}, ManagerTask::kInstall},
                        {"npm", {"npm", "run", "build:prod"}, ManagerTask::kBuild},
                        {"yarn", {"yarn"}, ManagerTask::kInstall},
                        {"pnpm", {"pnpm", "-C", "x", "add", "y"}, ManagerTask::kInstall},
                        {"uv", {"uv", "pip", "install", "x"}, ManagerTask::kInstall},
                        {"cargo", {"cargo", "test"}, ManagerTask::kBuild},
                        {"go", {"go", "mod", "tidy"}, ManagerTask::kInstall},
                        {"bundler", {"bundle"}, ManagerTask::kInstall},
                        {"composer", {"composer", "i"}, ManagerTask::kInstall},
                        {"poetry", {"poetry", "build"}, ManagerTask::kBuild},
                        {"bun", {"bun", "a", "x"}, ManagerTask::kInstall}};
  std::string pattern;
  for (const Case& wanted : cases) {
    EXPECT_EQ(TaskOf(*FindManager(wanted.manager), ReadCommand(wanted.argv), &pattern), wanted.task)
        << JoinCommand(wanted.argv);
  }
}

TEST(Dispatch, PackagesThatAreAdded) {
  const auto adds = [](const char* manager, const Argv& argv) {
    return AddsPackage(*FindManager(manager), ReadCommand(argv));
  };
  EXPECT_TRUE(adds("npm", {"npm", "i", "left-pad"}));
  EXPECT_TRUE(adds("npm", {"env", "A=b", "npm", "install", "-D", "left-pad"}));
  EXPECT_TRUE(adds("yarn", {"yarn", "add", "x"}));
  EXPECT_TRUE(adds("composer", {"composer", "r", "a/b"}));
  EXPECT_FALSE(adds("npm", {"npm", "install"}));
  EXPECT_FALSE(adds("npm", {"npm", "install", "--ignore-scripts"}));
  EXPECT_FALSE(adds("npm", {"npm", "update", "x"}));
  EXPECT_FALSE(adds("go", {"go", "get", "x"}));
}

TEST(Dispatch, JoiningQuotes) {
  EXPECT_EQ(JoinCommand({"a", "b c", "", "it's", "x=1"}), "a 'b c' '' 'it'\\''s' x=1");
}

}  // namespace
}  // namespace cordon::policy
