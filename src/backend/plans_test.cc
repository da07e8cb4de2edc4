#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "backend/backend.h"
#include "backend/bwrap/arguments.h"
#include "backend/container/arguments.h"
#include "backend/supervisor/supervisor.h"

namespace cordon::backend {
namespace {

using policy::Mount;
using policy::MountKind;
using policy::NodeType;
using policy::Plan;
using policy::Wall;

Mount Bind(const std::string& path, bool read_only) {
  Mount mount;
  mount.source = path;
  mount.target = path;
  mount.type = NodeType::kDirectory;
  mount.read_only = read_only;
  return mount;
}

Plan SmallPlan(Wall wall) {
  Plan plan;
  plan.wall = wall;
  plan.argv = {"echo", "a b", "$HOME"};
  plan.program = "/usr/bin/echo";
  plan.directory = "/usr";
  plan.workspace = {.root = "/usr", .mount = "/usr"};
  plan.mounts = {Bind("/usr", true)};
  plan.environment = {{.name = "A", .value = "b c"},
                      {.name = "TOKEN", .value = "very-secret", .is_secret = true}};
  return plan;
}

std::string Refusal(Wall wall, void (*change)(Plan&)) {
  Plan plan = SmallPlan(wall);
  if (wall == Wall::kContainer) plan.image = policy::ImagePlan{.reference = "x@sha256:1"};
  if (wall == Wall::kNone) {
    plan.mounts.clear();
    plan.network.mode = policy::NetworkMode::kHost;
  }
  change(plan);
  const Status fits = BackendOf(wall)->Check(plan);
  return fits ? "" : fits.error().message;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Backends, RefuseByNameWhatTheyCannotEnforce) {
  for (const Wall wall : {Wall::kBwrap, Wall::kContainer}) {
    EXPECT_EQ(Refusal(wall, [](Plan&) {}), "");
    EXPECT_TRUE(Has(Refusal(wall, [](Plan& p) { p.workspace.shadow = true; }), "shadow"));
    EXPECT_TRUE(Has(Refusal(wall, [](Plan& p) { p.limits.disk_bytes = 1; }), "disk"));
    EXPECT_TRUE(Has(Refusal(wall,
                            [](Plan& p) {
                              p.mounts.push_back(Bind("/usr/x", false));
                              p.mounts.back().kind = MountKind::kPlaceholder;
                            }),
                    "/usr/x"));
    EXPECT_TRUE(Has(Refusal(wall,
                            [](Plan& p) {
                              p.mounts.push_back(Bind("/usr/lock", false));
                              p.mounts.back().if_missing = policy::IfMissing::kStageFile;
                            }),
                    "may be made"));
    EXPECT_NE(Refusal(wall, [](Plan& p) { p.network.mode = policy::NetworkMode::kHost; }), "");
    EXPECT_NE(Refusal(wall, [](Plan& p) { p.rights.no_new_privileges = false; }), "");
  }
  for (const auto mode : {policy::NetworkMode::kList, policy::NetworkMode::kAll}) {
    Plan plan = SmallPlan(Wall::kContainer);
    plan.image = policy::ImagePlan{.reference = "x@sha256:1"};
    plan.network.mode = mode;
    const auto refusal = [&plan] {
      const Status fits = BackendOf(Wall::kContainer)->Check(plan);
      return fits ? std::string() : fits.error().message;
    };
    plan.image->engine = "docker";
    EXPECT_TRUE(Has(refusal(), "docker")) << refusal();
    plan.image->engine = "podman";
    if (getuid() != 0) {
      EXPECT_TRUE(Has(refusal(), "ordinary user")) << refusal();
    } else {
      EXPECT_EQ(refusal(), "");
      plan.rights.capabilities_added = {"NET_ADMIN"};
      EXPECT_TRUE(Has(refusal(), "NET_ADMIN")) << refusal();
      plan.rights.capabilities_added.clear();
      plan.image->reuse = true;
      EXPECT_TRUE(Has(refusal(), "session")) << refusal();
      const std::string told = *BackendOf(Wall::kContainer)->Describe(plan);
      for (const char* part : {"podman --remote=false run", "--network host", "--pull never",
                               "target=/etc/resolv.conf,readonly"}) {
        EXPECT_TRUE(Has(told, part)) << part << " in " << told;
      }
    }
    plan.wall = Wall::kBwrap;
    plan.image.reset();
    EXPECT_TRUE(BackendOf(Wall::kBwrap)->Check(plan));
    EXPECT_FALSE(Has(*BackendOf(Wall::kBwrap)->Describe(plan), "net"));
  }
  EXPECT_TRUE(Has(Refusal(Wall::kContainer, [](Plan& p) { p.secrets = {{"a", "b", "C"}}; }),
                  "descriptors"));
  EXPECT_TRUE(
      Has(Refusal(Wall::kContainer, [](Plan& p) { p.environment[0].value = "a\nb"; }), "A"));
  EXPECT_TRUE(Has(Refusal(Wall::kBwrap, [](Plan& p) { p.rights.uid = 5; }), "user"));
  EXPECT_EQ(Refusal(Wall::kNone, [](Plan&) {}), "");
  EXPECT_TRUE(Has(Refusal(Wall::kNone, [](Plan& p) { p.limits.memory_bytes = 1; }), "limits"));
  EXPECT_TRUE(Has(Refusal(Wall::kNone, [](Plan& p) { p.network.mode = policy::NetworkMode::kOff; }),
                  "network"));
}

TEST(Jobobject, LimitsAreToldAndNothingIsExecutedHere) {
  Plan plan = SmallPlan(Wall::kJobobject);
  plan.mounts.clear();
  plan.network.mode = policy::NetworkMode::kHost;
  plan.limits.memory_bytes = 1 << 20;
  plan.limits.processes = 7;
  plan.limits.wall_time = std::chrono::milliseconds(1500);
  const Backend* jobobject = BackendOf(Wall::kJobobject);
  EXPECT_EQ(*jobobject->Describe(plan),
            "cordon-job.exe --directory /usr --variables FILE --memory 1048576 --processes 7 "
            "--wall-time-ms 1500 -- echo 'a b' '$HOME'\n");
  EXPECT_TRUE(Has(jobobject->Check(plan).error().message, "Windows"));
  plan.network.mode = policy::NetworkMode::kOff;
  EXPECT_TRUE(Has(jobobject->Describe(plan).error().message, "network"));
  plan.network.mode = policy::NetworkMode::kHost;
  plan.limits.disk_bytes = 1;
  EXPECT_TRUE(Has(jobobject->Describe(plan).error().message, "limits"));
}

TEST(Bwrap, IsToldThePlanAndNothingOfItsSecretsIsShown) {
  const Result<std::string> text = BackendOf(Wall::kBwrap)->Describe(SmallPlan(Wall::kBwrap));
  ASSERT_TRUE(text) << text.error().ToString();
  for (const char* part :
       {"--unshare-user", "--unshare-net", "--cap-drop ALL", "--clearenv", "--setenv A 'b c'",
        "--chdir /usr", "--seccomp", "-- /usr/bin/echo 'a b' '$HOME'"}) {
    EXPECT_TRUE(Has(*text, part)) << part << " in " << *text;
  }
  EXPECT_FALSE(Has(*text, "very-secret"));
  EXPECT_FALSE(Has(*text, "--share-net"));
}

TEST(Container, EveryOptionIsThePlans) {
  Plan plan = SmallPlan(Wall::kContainer);
  plan.image = policy::ImagePlan{.reference = "x@sha256:1"};
  plan.limits.memory_bytes = 1 << 20;
  plan.limits.processes = 7;
  EngineUse use = {.engine = "podman", .name = "n", .env_file = "e"};
  const auto as_root = MakeEngineOptions(plan, use);
  ASSERT_TRUE(as_root) << as_root.error().ToString();
  const std::string text = ShellText(*as_root);
  for (const char* part : {"--network none", "--cap-drop ALL", "no-new-privileges",
                           "--memory 1048576", "--pids-limit 7", "--user 1000:1000",
                           "--uidmap 1000:0:1", "source=/usr,target=/usr,readonly"}) {
    EXPECT_TRUE(Has(text, part)) << part << " in " << text;
  }
  use.uid = 1234;
  use.gid = 1234;
  use.rootless = true;
  EXPECT_TRUE(Has(ShellText(*MakeEngineOptions(plan, use)), "--userns keep-id"));
  use.engine = "docker";
  use.rootless = false;
  EXPECT_TRUE(Has(ShellText(*MakeEngineOptions(plan, use)), "--user 1234:1234"));
  use.uid = 0;
  const auto docker = MakeEngineOptions(plan, use);
  ASSERT_FALSE(docker);
  EXPECT_TRUE(Has(docker.error().message, "maps no users"));
  plan.mounts.push_back(Bind("/usr", true));
  plan.mounts.back().target = "/a,b";
  use.uid = 1234;
  EXPECT_TRUE(Has(MakeEngineOptions(plan, use).error().message, "/a,b"));
}

TEST(Container, ASessionIsForPlansThatDifferInTheirCommandAlone) {
  Plan plan = SmallPlan(Wall::kContainer);
  const std::string key = SessionKey(plan);
  plan.argv = {"other"};
  plan.directory = "/usr/bin";
  plan.environment.clear();
  EXPECT_EQ(SessionKey(plan), key);
  plan.mounts[0].read_only = false;
  EXPECT_NE(SessionKey(plan), key);
}

TEST(Nsjail, ItsConfigurationSaysThePlan) {
  Plan plan = SmallPlan(Wall::kNsjail);
  plan.argv[1] = "a\"\n\\";
  plan.limits.processes = 7;
  const Result<std::string> text = BackendOf(Wall::kNsjail)->Describe(plan);
  ASSERT_TRUE(text) << text.error().ToString();
  for (const char* part : {"clone_newnet: true", "keep_env: false", "envar: \"A=b c\"",
                           "cgroup_pids_max: 7", "rlimit_fsize_type: INF", "src: \"/usr\"",
                           "path: \"/usr/bin/echo\"", "arg: \"a\\\"\\012\\\\\""}) {
    EXPECT_TRUE(Has(*text, part)) << part << " in " << *text;
  }
  EXPECT_FALSE(Has(*text, "very-secret"));
  EXPECT_TRUE(Has(BackendOf(Wall::kNsjail)->Check(plan).error().message, "never been run"));
}

TEST(SandboxExec, WhatIsHiddenComesAfterWhatIsShown) {
  Plan plan = SmallPlan(Wall::kSandboxExec);
  plan.mounts.push_back(Bind("/usr/a\"b", false));
  plan.mounts.push_back(Bind("/usr/hidden", true));
  plan.mounts.back().kind = MountKind::kMask;
  const Result<std::string> text = BackendOf(Wall::kSandboxExec)->Describe(plan);
  ASSERT_TRUE(text) << text.error().ToString();
  const size_t shown = text->find("(allow file-read* file-write* (subpath \"/usr/a\\\"b\"))");
  const size_t hidden = text->find("(deny file-read* file-write* (subpath \"/usr/hidden\"))");
  ASSERT_NE(shown, std::string::npos) << *text;
  ASSERT_NE(hidden, std::string::npos) << *text;
  EXPECT_LT(shown, hidden);
  EXPECT_TRUE(Has(*text, "(deny default)") && Has(*text, "(deny network*)"));
  plan.mounts.back().target = "/usr/a\nb";
  EXPECT_FALSE(BackendOf(Wall::kSandboxExec)->Describe(plan));
}

TEST(Supervisor, WordsSurviveAShell) {
  EXPECT_EQ(ShellText({"a", "b c", "", "d'e", "$x"}), "a 'b c' '' 'd'\\''e' '$x'");
}

TEST(None, TheCommandsEndIsTheEnd) {
  Plan plan = SmallPlan(Wall::kNone);
  plan.mounts.clear();
  plan.network.mode = policy::NetworkMode::kHost;
  plan.program = "/bin/sh";
  plan.argv = {"sh", "-c", "sleep 30 & test \"$A\" = 'b c' && exit 7"};
  const Result<PlanReport> report = BackendOf(Wall::kNone)->Run({.plan = plan});
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->exit_code, 7);
  plan.limits.wall_time = std::chrono::milliseconds(200);
  plan.argv[2] = "sleep 30 & sleep 30";
  const Result<PlanReport> late = BackendOf(Wall::kNone)->Run({.plan = plan});
  ASSERT_TRUE(late) << late.error().ToString();
  EXPECT_EQ(late->exit_code, 124);
  plan.program = "/no/such/program";
  EXPECT_FALSE(BackendOf(Wall::kNone)->Run({.plan = plan}));
}

}  // namespace
}  // namespace cordon::backend
