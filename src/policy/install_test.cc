#include "policy/install.h"

#include <gtest/gtest.h>

#include "policy/dispatch.h"
#include "policy/test_world.h"

namespace cordon::policy {
namespace {

std::string First(const std::vector<std::vector<std::string>>& commands) {
  return commands.empty() ? "" : JoinCommand(commands.front());
}

TEST(Install, ALockfileDecidesTheManagerAndTheVersions) {
  const TestWorld world;
  world.InProject("package.json", "{}");
  const auto loose = FindInstallSteps(world.project, "");
  ASSERT_TRUE(loose) << loose.error().ToString();
  EXPECT_EQ(loose->manager->name, "npm");
  EXPECT_FALSE(loose->is_frozen);
  EXPECT_EQ(First(loose->download), "npm install --ignore-scripts --no-audit --no-fund");
  world.InProject("pnpm-lock.yaml", "");
  const auto frozen = FindInstallSteps(world.project, "");
  ASSERT_TRUE(frozen) << frozen.error().ToString();
  EXPECT_EQ(First(frozen->download), "pnpm install --frozen-lockfile --ignore-scripts");
  EXPECT_EQ(frozen->lockfiles, std::vector<std::string>{"pnpm-lock.yaml"});
  world.InProject("yarn.lock", "");
  const auto both = FindInstallSteps(world.project, "");
  ASSERT_FALSE(both);
  EXPECT_NE(both.error().message.find("yarn, pnpm"), std::string::npos) << both.error().message;
  EXPECT_EQ(FindInstallSteps(world.project, "yarn")->manager->name, "yarn");
}

TEST(Install, BerryHasWordsOfItsOwn) {
  const TestWorld world;
  world.InProject("yarn.lock", "");
  EXPECT_EQ(First(FindInstallSteps(world.project, "")->download),
            "yarn install --frozen-lockfile --ignore-scripts --non-interactive");
  world.InProject(".yarnrc.yml", "");
  EXPECT_EQ(First(FindInstallSteps(world.project, "")->download),
            "yarn install --immutable --mode=skip-build");
}

TEST(Install, NothingOrUnknownIsAnError) {
  const TestWorld world;
  EXPECT_FALSE(FindInstallSteps(world.project, ""));
  EXPECT_FALSE(FindInstallSteps(world.project, "no-such-manager"));
}

TEST(Install, PoetryMakesNoLockfile) {
  const TestWorld world;
  world.InProject("pyproject.toml", "[project]\nname = 'x'\n");
  EXPECT_NE(FindInstallSteps(world.project, "").error().message.find("uv, poetry"),
            std::string::npos);
  world.InProject("pyproject.toml", "[build-system]\nbuild-backend = 'poetry.core.masonry.api'\n");
  const auto loose = FindInstallSteps(world.project, "");
  ASSERT_FALSE(loose);
  EXPECT_NE(loose.error().message.find("-- poetry lock"), std::string::npos);
  world.InProject("pyproject.toml", "[tool.uv]\n");
  EXPECT_EQ(FindInstallSteps(world.project, "")->manager->name, "uv");
  world.InProject("poetry.lock", "");
  const auto frozen = FindInstallSteps(world.project, "", {"--with", "docs"});
  ASSERT_TRUE(frozen) << frozen.error().ToString();
  EXPECT_EQ(First(frozen->download),
            "poetry --no-plugins install --no-interaction --no-root --no-directory --with docs");
  EXPECT_EQ(First(frozen->scripts), "poetry --no-plugins install --no-interaction --with docs");
  ASSERT_EQ(frozen->before.size(), 2U);
  EXPECT_EQ(frozen->before.back().argv.front(), "find");
}

TEST(Install, FurtherWordsGoToTheManager) {
  const TestWorld world;
  world.InProject("package.json", "{}");
  const auto steps = FindInstallSteps(world.project, "npm", {"left-pad", "..."});
  ASSERT_TRUE(steps);
  EXPECT_EQ(First(steps->download),
            "npm install --ignore-scripts --no-audit --no-fund left-pad ...");
  EXPECT_EQ(First(steps->scripts), "npm rebuild --foreground-scripts --no-audit --no-fund");
}

// Each command is planned: what brings packages here has a list of hosts, what runs them nothing.
TEST(Install, EveryPhaseIsAPlan) {
  for (const char* name :
       {"npm", "yarn", "pnpm", "pip", "uv", "poetry", "cargo", "go", "composer", "bundler"}) {
    const TestWorld world;
    const Manager* manager = FindManager(name);
    world.InProject(SplitList(manager->lockfiles).front(), "");
    TestWorld::Write(world.project + "/../tools/bin/cargo", "#!/bin/sh\n");
    const auto steps = FindInstallSteps(world.project, name);
    ASSERT_TRUE(steps) << name;
    PlanRequest request;
    request.argv = steps->download.front();
    request.environment = steps->variables;
    const Planned download = MakePlan(request, world.around);
    ASSERT_TRUE(download.plan) << name << ": " << download.errors.front().ToString();
    EXPECT_EQ(download.plan->decision.profile, "pm-" + std::string(name) + "-install");
    EXPECT_EQ(download.plan->network.mode, NetworkMode::kList) << name;
    request.profile = download.plan->decision.profile;
    request.manager = name;
    request.without_network = true;
    std::vector<std::vector<std::string>> offline = steps->scripts;
    for (const Preparation& before : steps->before) offline.push_back(before.argv);
    for (const auto& command : offline) {
      request.argv = command;
      const Planned scripts = MakePlan(request, world.around);
      ASSERT_TRUE(scripts.plan) << name << ": " << scripts.errors.front().ToString();
      EXPECT_EQ(scripts.plan->network.mode, NetworkMode::kOff) << name;
      EXPECT_TRUE(scripts.plan->network.allow.empty()) << name;
    }
  }
}

}  // namespace
}  // namespace cordon::policy
