#include "policy/interpreters.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "policy/resolve.h"
#include "policy/test_world.h"

namespace cordon::policy {
namespace {

using Texts = std::vector<std::string>;

void WriteProgram(const std::string& path, const std::string& text) {
  TestWorld::Write(path, text);
  ASSERT_EQ(chmod(path.c_str(), 0755), 0);
}

TEST(Interpreters, OfTheFirstLineAndWhatLinksLeadTo) {
  TestWorld world;
  const std::string tools = world.root() + "/tools";
  WriteProgram(tools + "/python/bin/python3.12",
               "\x7f"
               "ELF");
  TestWorld::Write(tools + "/venv/bin/empty", "");
  ASSERT_EQ(symlink("../../python/bin/python3.12", (tools + "/venv/bin/python3").c_str()), 0);
  ASSERT_EQ(symlink("python3", (tools + "/venv/bin/python").c_str()), 0);
  const std::string script = tools + "/venv/bin/tool";
  WriteProgram(script, "#!" + tools + "/venv/bin/python -I\nimport x\n");
  const Texts chain = {tools + "/venv/bin/python", tools + "/venv/bin/python3",
                       tools + "/python/bin/python3.12"};
  EXPECT_EQ(InterpretersOf(script, world.around), chain);
  world.around.environment["PATH"] = "relative:" + tools + "/python/bin";
  for (const char* line : {"#!/usr/bin/env python3.12\n", "#! /usr/bin/env\t-S python3.12 -I\n"}) {
    WriteProgram(script, line);
    const Texts found = InterpretersOf(script, world.around);
    ASSERT_GE(found.size(), 2U) << line;
    EXPECT_EQ(found.back(), tools + "/python/bin/python3.12") << line;
  }
  for (const char* text :
       {"", "#!", "#! \n", "#!relative/python\n", "no script\n", "#!\n/bin/sh\n"}) {
    WriteProgram(script, text);
    EXPECT_EQ(InterpretersOf(script, world.around), Texts()) << text;
  }
  EXPECT_EQ(InterpretersOf(tools, world.around), Texts());
  EXPECT_EQ(InterpretersOf(tools + "/missing", world.around), Texts());
}

Texts ProgramsShown(const TestWorld& world, const std::string& command) {
  PlanRequest request;
  request.argv = {command};
  request.wall = "native";
  const Planned planned = MakePlan(request, world.around);
  Texts shown;
  if (!planned.plan) return shown;
  for (const Mount& mount : planned.plan->mounts) {
    if (mount.name == "program") shown.push_back(mount.source);
  }
  return shown;
}

TEST(Interpreters, AreShownWithTheirProgramButNotOnAProjectsWord) {
  TestWorld world;
  const std::string tools = world.root() + "/tools";
  WriteProgram(tools + "/python/bin/python3.12",
               "\x7f"
               "ELF");
  const std::string line = "#!" + tools + "/python/bin/python3.12\n";
  WriteProgram(tools + "/venv/bin/tool", line);
  WriteProgram(world.project + "/tool", line);
  EXPECT_EQ(ProgramsShown(world, tools + "/venv/bin/tool"),
            Texts({tools + "/venv", tools + "/python"}));
  EXPECT_EQ(ProgramsShown(world, world.project + "/tool"), Texts());
}

// A committed link says nothing about what of the host is seen.
TEST(Interpreters, LinksOfAProjectLeadToKnownProgramsAlone) {
  TestWorld world;
  const std::string elsewhere = world.root() + "/elsewhere";
  WriteProgram(elsewhere + "/bin/python3",
               "\x7f"
               "ELF");
  WriteProgram(elsewhere + "/notes", "private");
  ASSERT_EQ(symlink((elsewhere + "/bin/python3").c_str(), (world.project + "/python").c_str()), 0);
  ASSERT_EQ(symlink((elsewhere + "/notes").c_str(), (world.project + "/notes").c_str()), 0);
  ASSERT_EQ(symlink(elsewhere.c_str(), (world.project + "/tools").c_str()), 0);
  const auto refusal = [&](const std::string& command) {
    PlanRequest request;
    request.argv = {command};
    request.wall = "native";
    const Planned planned = MakePlan(request, world.around);
    return planned.plan && planned.plan->refusals.empty() ? std::string() : std::string("refused");
  };
  world.around.environment["PATH"] = "/usr/bin:" + world.project + "/tools/bin";
  for (const char* name : {"/python", "/notes", "/tools/bin/python3"}) {
    EXPECT_EQ(ProgramsShown(world, world.project + name), Texts()) << name;
    EXPECT_EQ(refusal(world.project + name), "refused") << name;
  }
  // What the user has on his search path, or names, is his.
  world.around.environment["PATH"] = "/usr/bin:" + elsewhere + "/bin";
  EXPECT_EQ(ProgramsShown(world, world.project + "/python"), Texts{elsewhere});
  EXPECT_EQ(refusal(world.project + "/python"), "");
  world.around.environment["PATH"] = "/usr/bin";
  world.UserPolicy("version: 1\ntoolchains: ['" + elsewhere + "']\n");
  EXPECT_EQ(refusal(world.project + "/python"), "");
}

}  // namespace
}  // namespace cordon::policy
