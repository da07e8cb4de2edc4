#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "policy/git_settings.h"
#include "policy/globs.h"
#include "policy/protected_paths.h"
#include "policy/secrets.h"
#include "policy/test_world.h"
#include "policy/trust.h"

namespace cordon::policy {
namespace {

using Texts = std::vector<std::string>;

Texts Matches(const TestWorld& world, const Texts& patterns) {
  std::vector<Glob> globs;
  for (const std::string& pattern : patterns) globs.emplace_back(pattern);
  TreeWalk walk;
  WalkTree(Beneath::Open(world.project).value(), {}, globs, &walk);
  EXPECT_TRUE(walk.is_complete) << walk.problem;
  Texts texts;
  for (const TreeMatch& match : walk.matches) {
    std::string path;
    for (const std::string& name : match.path) path += (path.empty() ? "" : "/") + name;
    texts.push_back(path);
  }
  std::ranges::sort(texts);
  return texts;
}

TEST(Globs, NamesPathsAndDirectories) {
  TestWorld world;
  for (const char* path : {".env", "a/.env", "a/b/.env.local", "a/secrets/key", "keys/x.pem",
                           "keys/x.pub", ".git/config", "node_modules/m/.npmrc"}) {
    world.InProject(path, "x");
  }
  EXPECT_EQ(Matches(world, {".env"}), Texts({".env", "a/.env"}));
  EXPECT_EQ(Matches(world, {"**/.env*"}), Texts({".env", "a/.env", "a/b/.env.local"}));
  EXPECT_EQ(Matches(world, {"*.pem"}), Texts({"keys/x.pem"}));
  EXPECT_EQ(Matches(world, {"keys/*"}), Texts({"keys/x.pem", "keys/x.pub"}));
  EXPECT_EQ(Matches(world, {"secrets/"}), Texts({"a/secrets"}));
  EXPECT_EQ(Matches(world, {"a/**/key"}), Texts({"a/secrets/key"}));
  EXPECT_EQ(Matches(world, {"node_modules/**/.npmrc", ".git/config"}),
            Texts({".git/config", "node_modules/m/.npmrc"}));
  EXPECT_EQ(Matches(world, {"a"}), Texts({"a"}));
  EXPECT_EQ(Matches(world, {"key/"}), Texts({"a/secrets/key"}));
}

TEST(Globs, LinksAreFoundAndNotFollowed) {
  TestWorld world;
  world.InHome("outside/.env", "x");
  std::filesystem::create_symlink(world.around.home + "/outside", world.project + "/link");
  std::filesystem::create_symlink(".", world.project + "/self");
  EXPECT_EQ(Matches(world, {".env"}), Texts());
  EXPECT_EQ(Matches(world, {"link"}), Texts({"link"}));
}

TEST(Beneath, NoLinkOnTheWay) {
  TestWorld world;
  world.InProject("a/file", "text");
  std::filesystem::create_symlink("a", world.project + "/l");
  const Beneath beneath = Beneath::Open(world.project).value();
  EXPECT_EQ(beneath.Inspect({"a", "file"}), Found::kFile);
  EXPECT_EQ(beneath.Inspect({"l", "file"}), Found::kLink);
  EXPECT_EQ(beneath.Inspect({"a", "none"}), Found::kMissing);
  EXPECT_EQ(beneath.Inspect({"a", "file", "x"}), Found::kMissing);
  EXPECT_EQ(beneath.Read({"a", "file"}, 10).value(), "text");
  EXPECT_FALSE(beneath.Read({"l", "file"}, 10).has_value());
  EXPECT_FALSE(beneath.Read({"a"}, 10).has_value());
  EXPECT_FALSE(beneath.Read({"a", "file"}, 3).has_value());
}

TEST(Secrets, ByNameAndByValue) {
  for (const char* name : {"NPM_TOKEN", "AWS_REGION", "GITHUB_PAT", "my_secret", "DB_PASSWORD",
                           "OPENAI_API_KEY", "SSH_AUTH_SOCK", "GITHUBTOKEN"}) {
    EXPECT_NE(SecretReason(name, ""), "") << name;
  }
  for (const char* name :
       {"PATH", "PWD", "KEYBOARD", "TOKENIZER_MODE", "MONKEY", "HOME", "PATTERN"}) {
    EXPECT_EQ(SecretReason(name, "x"), "") << name;
  }
  for (const char* value :
       {"ghp_0123456789abcdef", "postgres://u:p@h/db", "-----BEGIN RSA PRIVATE KEY-----"}) {
    EXPECT_NE(SecretReason("X", value), "") << value;
  }
  EXPECT_EQ(SecretReason("X", "https://h/path@x:y"), "");
}

TEST(Secrets, CredentialsInBothDirections) {
  TestWorld world;
  const std::string home = world.around.home;
  for (const std::string& path :
       {std::string("/"), home, home + "/.ssh", home + "/.ssh/id", home + "/.config",
        std::string("/run/docker.sock"), std::string("/proc/1"), std::string("/etc/shadow"),
        std::string("/run"), home.substr(0, home.rfind('/'))}) {
    EXPECT_NE(CredentialsIn(path, world.around), "") << path;
  }
  for (const std::string& path : {home + "/project", home + "/.cache/x", std::string("/usr/share"),
                                  std::string("/opt/tool"), home + "/.sshfs"}) {
    EXPECT_EQ(CredentialsIn(path, world.around), "") << path;
  }
}

TEST(Secrets, OfGit) {
  EXPECT_TRUE(GitConfigHoldsSecret("[remote \"o\"]\n\turl = https://u:t@h.example/x\n"));
  EXPECT_TRUE(GitConfigHoldsSecret("[remote \"o\"]\n\turl = https://token@h.example/x\n"));
  EXPECT_TRUE(GitConfigHoldsSecret("[http]\n\textraHeader = Authorization: x\n"));
  EXPECT_FALSE(GitConfigHoldsSecret(
      "[remote \"o\"]\n\turl = https://h.example/a@b\n\turl = git@h.example:x\n"));
}

TEST(Protected, WhatTheHostWouldObey) {
  for (const char* path : {".git", ".git/hooks", ".git/hooks/pre-commit", "sub/.git/config",
                           "sub/.git", ".vscode/tasks.json", ".cargo", "./.npmrc"}) {
    EXPECT_NE(ProtectedReason(path), "") << path;
  }
  for (const char* path :
       {"node_modules", "src", ".gitignore", "dist/.vscode", ".git/objects", "git/hooks"}) {
    EXPECT_EQ(ProtectedReason(path), "") << path;
  }
}

TEST(Trust, IsRememberedByContentAndWithdrawnByChange) {
  TestWorld world;
  TrustStore store = TrustStore::Load(world.around).value();
  store.Approve({"/p/cordon.yaml", "policy", HashText("a"), {"x"}});
  ASSERT_TRUE(store.Save().has_value());
  store = TrustStore::Load(world.around).value();
  EXPECT_TRUE(store.IsApproved("/p/cordon.yaml", "policy", HashText("a")));
  EXPECT_FALSE(store.IsApproved("/p/cordon.yaml", "policy", HashText("b")));
  EXPECT_FALSE(store.IsApproved("/q/cordon.yaml", "policy", HashText("a")));
  EXPECT_FALSE(store.IsApproved("/p/cordon.yaml", "hosts", HashText("a")));
  store.Approve({"/p/cordon.yaml", "policy", HashText("b"), {}});
  EXPECT_EQ(store.approvals().size(), 1U);
  EXPECT_TRUE(store.Revoke("/p/cordon.yaml"));
  EXPECT_FALSE(store.Revoke("/p/cordon.yaml"));
}

TEST(Trust, AStoreThatOthersCouldWriteIsNone) {
  TestWorld world;
  const std::string file = world.around.config_home + "/trust.json";
  TestWorld::Write(file, R"({"version": 1, "approvals": []})");
  EXPECT_TRUE(TrustStore::Load(world.around).has_value());
  ASSERT_EQ(chmod(file.c_str(), 0666), 0);
  EXPECT_FALSE(TrustStore::Load(world.around).has_value());
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  ASSERT_EQ(chmod(world.around.config_home.c_str(), 0777), 0);
  EXPECT_FALSE(TrustStore::Load(world.around).has_value());
  ASSERT_EQ(chmod(world.around.config_home.c_str(), 0700), 0);
  for (const char* text : {"", "[]", "{\"version\": 2, \"approvals\": []}",
                           "{\"version\": 1, \"approvals\": [1]}", "{\"version\": \"x\"}"}) {
    TestWorld::Write(file, text);
    EXPECT_FALSE(TrustStore::Load(world.around).has_value()) << text;
  }
}

TEST(GitSettings, AsGitReadsThem) {
  const GitSettings settings = ReadGitSettings(
      "[core] hooksPath = one ; a comment\n[CORE]\r\n  HooksPath=\"two words\"\r\n"
      "[include]\n\tpath = ../a\\\\b # x\n[includeIf \"gitdir:a]b=\\\"\"] path = c\n"
      "[core]\nhookspath = lo\\\nng\nworktree = ../w\n[other \"core\"]\nhooksPath = no\n[core");
  EXPECT_EQ(settings.hooks, Texts({"one", "two words", "long"}));
  EXPECT_EQ(settings.files, Texts({"../a\\b", "c"}));
  EXPECT_EQ(settings.worktree, "../w");
}

TEST(GitSettings, WhatTheyNameIsFoundFromTheRightPlace) {
  const std::map<std::string, std::string> texts = {
      {".git/config", "[core]\nhooksPath = hooks\n[include]\npath = ../more\npath = /etc/x\n"},
      {"more", "[include]\npath = more\npath = sub/again\n"},
      {"sub/again", "[core]\nhooksPath = ~/ws/tilde\nhooksPath = ../../out\n"},
      {"bare/config", "[core]\nhooksPath = mine\n"},
      {".git/modules/m/config", "[core]\nworktree = ../../../m\nhooksPath = .hooks\n"}};
  const auto find = [&](const std::string& folder) {
    Texts paths;
    const ReadText read = [&](const std::string& path) {
      const auto text = texts.find(path);
      return text == texts.end() ? std::nullopt : std::optional(text->second);
    };
    for (const NamedByGit& named : FindNamedByGit("/home/u/ws", "/home/u", folder, read))
      paths.push_back(named.path);
    return paths;
  };
  EXPECT_EQ(find(".git"), Texts({"hooks", "more", "sub/again", "tilde"}));
  EXPECT_EQ(find("bare"), Texts({"bare/mine"}));
  EXPECT_EQ(find(".git/modules/m"), Texts({"m/.hooks"}));
}

}  // namespace
}  // namespace cordon::policy
