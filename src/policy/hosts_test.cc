#include "policy/hosts.h"

#include <gtest/gtest.h>

#include <chrono>

#include "policy/test_world.h"

namespace cordon::policy {
namespace {

using Texts = std::vector<std::string>;

// Without what the machine that runs the test has.
Texts OfWorld(const TestWorld& world, Texts files) {
  std::erase_if(files, [&](const std::string& file) { return !file.starts_with(world.root()); });
  return files;
}

Texts HostsFor(const TestWorld& world, const char* manager, const std::string& program = {}) {
  const Beneath workspace = Beneath::Open(world.project).value();
  Texts texts;
  for (const FoundHost& host :
       FindHosts(*FindManager(manager), workspace, world.project, program, world.around).hosts) {
    texts.push_back(host.rule.ToString());
  }
  return texts;
}

TEST(Hosts, NpmFromAllItsLevels) {
  TestWorld world;
  world.around.environment["npm_config_registry"] = "https://env.example/";
  world.InProject(".npmrc",
                  "; comment\nregistry = "
                  "https://project.example/npm/\n@scope:registry=http://scope.example:4873\n");
  world.InHome(".npmrc", "registry=\"https://user.example\"\n//user.example/:_authToken=x\n");
  world.InProject(
      "package-lock.json",
      R"({"packages": {"a": {"resolved": "https://lock.example/a.tgz", "funding": {"url": "https://no.example"}}}})");
  EXPECT_EQ(HostsFor(world, "npm"),
            Texts({"env.example:443", "project.example:443", "scope.example:4873",
                   "user.example:443", "lock.example:443"}));
}

TEST(Hosts, TheProgramsOwnDefaultWhereNothingElseNamesAnIndex) {
  TestWorld world;
  const std::string program = world.root() + "/npm/bin/npm-cli.js";
  TestWorld::Write(world.root() + "/npm/node_modules/@npmcli/config/lib/definitions/definitions.js",
                   "  registry: new Definition('registry', {\n    default: "
                   "'https://default.example/',\n    type: url,\n"
                   "  other: new Definition('other', {\n    default: 'https://other.example/',\n");
  world.InProject("package-lock.json", R"({"resolved": "https://lock.example/a.tgz"})");
  EXPECT_EQ(HostsFor(world, "npm", program), Texts({"lock.example:443", "default.example:443"}));
  world.InHome(".npmrc", "registry=https://user.example\n");
  EXPECT_EQ(HostsFor(world, "npm", program), Texts({"user.example:443", "lock.example:443"}));
}

TEST(Hosts, PoetrysDefaultGoesOnBesideSourcesOfLesserPriority) {
  TestWorld world;
  const std::string program = world.root() + "/tools/poetry/bin/poetry";
  const std::string packages = world.root() + "/tools/poetry/lib/python3.12/site-packages";
  world.around.environment["PATH"] = "/nowhere";
  TestWorld::Write(
      packages + "/poetry/repositories/pypi_repository.py",
      "    def __init__(\n        self,\n        name: str = \"PyPI\",\n        url: str "
      "= \"https://default.example/\",\n");
  TestWorld::Write(packages + "/pip/_internal/models/index.py",
                   "PyPI = PackageIndex(\"https://index.example/\", "
                   "file_storage_domain=\"files.example\")\n");
  // Where packages are sent to is no index.
  world.InHome(".config/pypoetry/config.toml",
               "[repositories.mine]\nurl = \"https://upload.example/\"\n");
  const auto with = [&](const std::string& priority) {
    world.InProject("pyproject.toml",
                    "[[tool.poetry.source]]\nname = 'x'\nurl = 'https://x.example'\n" + priority);
    return HostsFor(world, "poetry", program);
  };
  const Texts both = {"x.example:443", "upload.example:443", "default.example:443",
                      "files.example:443"};
  EXPECT_EQ(with("priority = 'supplemental'\n"), both);
  EXPECT_EQ(with("priority = 'explicit'\n"), both);
  EXPECT_EQ(with(""), Texts({"x.example:443", "upload.example:443"}));
  EXPECT_EQ(with("priority = 'primary'\n"), Texts({"x.example:443", "upload.example:443"}));
}

// Who trusts npm's own default trusts it where a lockfile names it too, as most lockfiles do.
TEST(Hosts, ALockfileThatNamesTheDefaultLeavesItTheMachines) {
  TestWorld world;
  const std::string program = world.root() + "/npm/bin/npm-cli.js";
  TestWorld::Write(world.root() + "/npm/node_modules/@npmcli/config/lib/definitions/definitions.js",
                   "  registry: new Definition('registry', {\n    default: "
                   "'https://default.example/',\n");
  world.InProject("package-lock.json", R"({"resolved": "https://default.example/a.tgz"})");
  // A scope's index is one beside the default.
  world.InHome(".npmrc", "@scope:registry=https://scope.example\n");
  EXPECT_EQ(HostsFor(world, "npm", program),
            Texts({"scope.example:443", "default.example:443", "default.example:443"}));
  world.around.environment["npm_config_registry"] = "https://default.example/";
  EXPECT_EQ(HostsFor(world, "npm", program),
            Texts({"default.example:443", "scope.example:443", "default.example:443"}));
}

TEST(Hosts, OfEveryManager) {
  TestWorld world;
  world.InProject("yarn.lock", "a@1:\n  resolved \"https://yarn.example/a.tgz#1\"\n");
  world.InProject(".yarnrc.yml", "npmScopes: {s: {npmRegistryServer: 'https://berry.example'}}\n");
  world.InProject("pnpm-lock.yaml",
                  "  a@1:\n    resolution: {tarball: https://pnpm.example/a.tgz}\n");
  world.InProject("bunfig.toml",
                  "[install]\nregistry = { url = \"https://bun.example\", token = \"x\" "
                  "}\n[install.scopes]\ns = \"https://scope.example\"\n");
  world.InHome(".config/pip/pip.conf",
               "[global]\nindex-url = https://pip.example/simple\nextra-index-url =\n    "
               "https://more.example/simple\n    https://still.example\n");
  world.InProject("requirements.txt",
                  "--extra-index-url https://req.example/simple\na @ "
                  "https://direct.example/a.whl\nb==1 # https://no.example\n");
  world.InProject("uv.lock",
                  "source = { registry = \"https://uv.example/simple\" }\nsdist = { url = "
                  "\"https://files.example/a\" }\n");
  world.InProject(
      "pyproject.toml",
      "[[tool.poetry.source]]\nname = 'x'\nurl = "
      "'https://poetry.example/simple'\n[[tool.uv.index]]\nurl = 'https://index.example'\n");
  world.InProject("Cargo.lock",
                  "source = \"registry+https://github.example/crates.io-index\"\nsource = "
                  "\"sparse+https://cargo.example/index/\"\n");
  world.InProject(".cargo/config.toml",
                  "[source.mirror]\nregistry = \"sparse+https://mirror.example/\"\n");
  world.around.environment["GOPROXY"] = "https://go.example,direct";
  world.around.environment["GOSUMDB"] = "sum.example+abc https://sumdb.example";
  world.InProject(
      "composer.lock",
      R"({"packages": [{"dist": {"url": "https://dist.example/a.zip"}, "funding": [{"url": "https://no.example"}]}]})");
  world.InProject("composer.json",
                  R"({"repositories": [{"type": "composer", "url": "https://composer.example"}]})");
  world.InProject("Gemfile.lock", "GEM\n  remote: https://gems.example/\n");
  world.InProject("Gemfile", "source 'https://gemfile.example'\n");
  EXPECT_EQ(HostsFor(world, "yarn"), Texts({"berry.example:443", "yarn.example:443"}));
  EXPECT_EQ(HostsFor(world, "pnpm"), Texts({"pnpm.example:443"}));
  EXPECT_EQ(HostsFor(world, "bun"), Texts({"bun.example:443", "scope.example:443"}));
  EXPECT_EQ(HostsFor(world, "pip"),
            Texts({"req.example:443", "direct.example:443", "pip.example:443", "more.example:443",
                   "still.example:443"}));
  EXPECT_EQ(HostsFor(world, "uv"),
            Texts({"index.example:443", "uv.example:443", "files.example:443"}));
  EXPECT_EQ(HostsFor(world, "poetry"), Texts({"poetry.example:443"}));
  EXPECT_EQ(HostsFor(world, "cargo"), Texts({"mirror.example:443", "cargo.example:443"}));
  EXPECT_EQ(HostsFor(world, "go"),
            Texts({"go.example:443", "sum.example:443", "sumdb.example:443"}));
  EXPECT_EQ(HostsFor(world, "composer"), Texts({"composer.example:443", "dist.example:443"}));
  EXPECT_EQ(HostsFor(world, "bundler"), Texts({"gemfile.example:443", "gems.example:443"}));
}

// Neither takes longer than a plan may: minutes, where each address was looked for in all others.
TEST(Hosts, AHostileLockfileIsReadOnce) {
  TestWorld world;
  const auto begin = std::chrono::steady_clock::now();
  std::string addresses = "\"resolved\": \"";
  for (int i = 0; i < 400'000; ++i) addresses += "://";
  world.InProject("package-lock.json", addresses);
  EXPECT_EQ(HostsFor(world, "npm"), Texts());
  std::string hosts;
  constexpr size_t kHosts = 20'000;
  for (size_t i = 0; i < kHosts; ++i) {
    hosts += "\"resolved\": \"https://" + std::to_string(i) + ".example/\"\n";
  }
  world.InProject("package-lock.json", hosts);
  EXPECT_EQ(HostsFor(world, "npm").size(), kHosts);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(Hosts, ConfigurationWithASecretIsNotShown) {
  TestWorld world;
  world.InHome(".npmrc", "registry=https://user.example\n//user.example/:_authToken=abc\n");
  world.InHome(".config/pip/pip.conf", "[global]\nindex-url = https://pip.example/simple\n");
  const Beneath workspace = Beneath::Open(world.project).value();
  const ManagerHosts npm =
      FindHosts(*FindManager("npm"), workspace, world.project, {}, world.around);
  EXPECT_EQ(OfWorld(world, npm.files), Texts());
  EXPECT_EQ(npm.secret_files, Texts({world.around.home + "/.npmrc"}));
  const ManagerHosts pip =
      FindHosts(*FindManager("pip"), workspace, world.project, {}, world.around);
  EXPECT_EQ(OfWorld(world, pip.files), Texts({world.around.home + "/.config/pip/pip.conf"}));
  // Settings without a host are the manager's too.
  world.InHome(".npmrc", "cafile=/etc/ssl/certs/ca-certificates.crt\n");
  const ManagerHosts settings =
      FindHosts(*FindManager("npm"), workspace, world.project, {}, world.around);
  EXPECT_EQ(OfWorld(world, settings.files), Texts({world.around.home + "/.npmrc"}));
}

TEST(Hosts, WhatLiesInTheWorkspaceIsTheProjectsWord) {
  TestWorld world;
  world.around.environment["VIRTUAL_ENV"] = world.project + "/.venv";
  world.InProject(".venv/pip.conf", "[global]\nindex-url = https://evil.example\n");
  world.InProject(
      ".venv/lib/python3.11/site-packages/pip/_internal/models/index.py",
      "PyPI = PackageIndex(\"https://worse.example/\", file_storage_domain=\"bad.example\")\n");
  const Beneath workspace = Beneath::Open(world.project).value();
  ManagerHosts found = FindHosts(*FindManager("pip"), workspace, world.project,
                                 world.project + "/.venv/bin/pip", world.around);
  ASSERT_EQ(found.hosts.size(), 1U);
  EXPECT_EQ(found.hosts[0].level, SourceLevel::kProject);
  EXPECT_EQ(OfWorld(world, found.files), Texts());
  world.around.environment.erase("VIRTUAL_ENV");
  found = FindHosts(*FindManager("pip"), workspace, world.project, world.project + "/.venv/bin/pip",
                    world.around);
  ASSERT_EQ(found.hosts.size(), 2U);
  EXPECT_EQ(found.hosts[0].rule.ToString(), "worse.example:443");
  EXPECT_EQ(found.hosts[1].rule.ToString(), "bad.example:443");
  EXPECT_EQ(found.hosts[1].level, SourceLevel::kProject);
}

TEST(Hosts, HostileFilesOfAProjectAreNotFollowed) {
  TestWorld world;
  world.InHome("secret", "registry=https://leak.example\n");
  std::filesystem::create_symlink(world.around.home + "/secret", world.project + "/.npmrc");
  ASSERT_EQ(mkfifo((world.project + "/package-lock.json").c_str(), 0600), 0);
  EXPECT_EQ(HostsFor(world, "npm"), Texts());
  world.InProject("composer.json", std::string(100'000, '['));
  world.InProject("bunfig.toml", "a = " + std::string(100'000, '['));
  world.InProject("pyproject.toml", "not toml");
  EXPECT_EQ(HostsFor(world, "composer"), Texts());
  EXPECT_EQ(HostsFor(world, "bun"), Texts());
  EXPECT_EQ(HostsFor(world, "uv"), Texts());
}

}  // namespace
}  // namespace cordon::policy
