#include "policy/install_sources.h"

#include <gtest/gtest.h>

#include "policy/requirements.h"
#include "policy/test_world.h"

namespace cordon::policy {
namespace {

std::vector<std::string> BuiltIn(const TestWorld& world, const std::string& manager) {
  const auto steps = FindInstallSteps(world.project, manager);
  const auto project = Beneath::Open(world.project);
  std::vector<std::string> found;
  if (!steps || !project) return {"no steps"};
  for (const Error& error : FindBuiltSources(*steps, *project)) found.push_back(error.ToString());
  return found;
}

std::string PoetryPackage(const std::string& name, const std::string& source) {
  return "[[package]]\nname = \"" + name + "\"\nversion = \"1.0\"\n" + source + "\n";
}

TEST(InstallSources, PoetryBringsWheelsOfAnIndexAndNothingElse) {
  const TestWorld world;
  world.InProject("pyproject.toml", "[tool.poetry]\nname = 'x'\n");
  const auto with = [&](const std::string& source) {
    world.InProject("poetry.lock", PoetryPackage("fine", "") + PoetryPackage("beta", source));
    return BuiltIn(world, "poetry");
  };
  const std::vector<std::string> none;
  EXPECT_EQ(with(""), none);
  EXPECT_EQ(with("[package.source]\ntype = \"legacy\"\nurl = \"https://index.example\""), none);
  EXPECT_EQ(with("[package.source]\ntype = \"directory\"\nurl = \"local\""), none);
  EXPECT_EQ(with("[package.source]\ntype = \"url\"\nurl = \"https://x.example/b.whl\""), none);
  for (const char* source :
       {"[package.source]\ntype = \"git\"\nurl = \"https://x.example/b.git\"",
        "source = {type = 'git', url = 'https://x.example/b.git'}", "source.type = 'git'",
        "\"source\".'type' = \"\\u0067it\"",
        "[package.source]\ntype = \"url\"\nurl = \"https://x.example/b.tar.gz\"",
        "[package.source]\ntype = \"url\"\nurl = \"https://x.example/b.tar.gz#.whl\"",
        "[package.source]\ntype = \"file\"\nurl = \"b.whl\"\nsubdirectory = \"x\"",
        "[package.source]\ntype = \"file\"\nurl = \"b.tar.gz\""}) {
    const auto found = with(source);
    ASSERT_EQ(found.size(), 1U) << source;
    EXPECT_EQ(found.front().find("poetry.lock: package beta ("), 0U) << found.front();
  }
  world.InProject("poetry.lock", "[[package]\n");
  EXPECT_EQ(BuiltIn(world, "poetry"), std::vector<std::string>{"poetry.lock: cannot be read"});
}

TEST(InstallSources, APluginOfTheProjectIsNamed) {
  const TestWorld world;
  world.InProject("poetry.lock", PoetryPackage("fine", ""));
  world.InProject("pyproject.toml", "[tool.poetry.requires-plugins]\nevil = '>1'\n");
  const auto found = BuiltIn(world, "poetry");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().find("pyproject.toml: poetry's plugin evil, "), 0U) << found.front();
}

std::string KindsOf(const std::string& text) {
  const auto lines = ReadRequirements(text);
  if (!lines) return lines.error().message;
  std::string kinds;
  for (const RequirementLine& line : *lines) {
    kinds += line.kind == RequirementLine::Kind::kPlain  ? 'p'
             : line.kind == RequirementLine::Kind::kFile ? 'f'
                                                         : 'x';
  }
  return kinds;
}

TEST(Requirements, NamesOfPackagesAreHarmless) {
  for (const char* line :
       {"six", "six==1.16.0", "six >= 1, < 2", "Requests[socks,use_chardet]~=2.0",
        "tomli; python_version < '3.11' and sys_platform == \"linux\"",
        "six==1.16.0 --hash=sha256:8abb --hash sha256:77", "six==1.16.0 \\\n    --hash=sha256:8abb",
        "six # the one", "six==1.0+local.1", "-i https://${USER}@index.example/simple",
        "--extra-index-url https://index.example --pre",
        "--only-binary :all:", "--only-binary=:all:", "--find-links ./wheels"}) {
    EXPECT_EQ(KindsOf(line), "p") << line;
  }
  EXPECT_EQ(KindsOf("-r base.txt\n--constraint=more/c.txt"), "ff");
  EXPECT_EQ(KindsOf("# nothing\n\n  # -e .\n"), "");
}

TEST(Requirements, WhateverMayBeBuiltIsNot) {
  for (const char* line : {"beta @ file:///b.tar.gz",
                           "beta@https://x.example/b.zip",
                           "https://x.example/b.tar.gz",
                           "git+https://x.example/b.git",
                           "./beta",
                           "beta/",
                           ".",
                           "-e .",
                           "--editable=.",
                           "-e.",
                           "beta-1.0.tar.gz",
                           "beta==1.ZIP ; python_version > '3'",
                           "beta.tar.xz[extra]",
                           "--no-binary beta",
                           "--no-binary=:all:",
                           "--only-binary :none:",
                           "--only-binary=beta",
                           "six --config-settings=a=b",
                           "six --global-option=x",
                           "--use-feature=fast-deps",
                           "be\\\nta @ file:///b.tar.gz",
                           "beta.tar\\\n.gz",
                           "${BETA}",
                           "-i 'x' --pre",
                           "-i x --no-binary beta",
                           "-r base.txt --no-binary beta",
                           "-rbase.txt",
                           "C:\\beta",
                           "--no-bin beta"}) {
    EXPECT_EQ(KindsOf(line), "x") << line;
  }
}

TEST(Requirements, CommentsHideNothing) {
  // A comment ends what goes on; it begins behind a blank alone.
  EXPECT_EQ(KindsOf("six \\\n# words \\\n-e ."), "px");
  EXPECT_EQ(KindsOf("six#x @ y"), "x");
  for (const char* text : {"# a\f-e .", "# a\xe2\x80\xa8-e .", "# -*- coding: utf-7 -*-\nsix",
                           "six\n#coding=utf-7", "\xff\xfes\0"}) {
    EXPECT_GT(KindsOf(text).size(), 10U) << text;
  }
}

TEST(Requirements, FilesThatFilesNameAreRead) {
  const TestWorld world;
  world.InProject("requirements.txt", "six\n-r more/base.txt\n-c ../outside.txt\n");
  world.InProject("more/base.txt", "-r deep.txt\n-r base.txt\n");
  world.InProject("more/deep.txt", "\nbeta @ file:///b.tar.gz\n");
  const auto found = BuiltIn(world, "pip");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].find("more/deep.txt:2: 'beta @ "), 0U) << found[0];
  EXPECT_EQ(found[1], "requirements.txt:3: '../outside.txt' is not in the project");
}

}  // namespace
}  // namespace cordon::policy
