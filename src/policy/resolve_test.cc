#include "policy/resolve.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "policy/plan_text.h"
#include "policy/test_world.h"
#include "policy/walls.h"

namespace cordon::policy {
namespace {

using Texts = std::vector<std::string>;

std::string Value(const Plan& plan, const std::string& name) {
  const auto found = std::ranges::find(plan.environment, name, &Variable::name);
  return found == plan.environment.end() ? "(not there)" : found->value;
}

TEST(Resolve, WithoutAnyPolicyNothingIsGranted) {
  const TestWorld world;
  const Planned planned = world.Make({"make"});
  ASSERT_TRUE(planned.plan.has_value());
  const Plan& plan = *planned.plan;
  EXPECT_EQ(Refusals(plan), "");
  EXPECT_EQ(plan.wall, Wall::kNative);
  EXPECT_EQ(plan.network.mode, NetworkMode::kOff);
  EXPECT_TRUE(FindMount(plan, world.project)->read_only);
  EXPECT_EQ(plan.program, world.root() + "/tools/bin/make");
  EXPECT_NE(FindMount(plan, world.root() + "/tools"), nullptr);
  EXPECT_EQ(FindMount(plan, "/etc/shadow"), nullptr);
  EXPECT_EQ(FindMount(plan, "/etc"), nullptr);
}

TEST(Resolve, APresetForACommandWithoutPolicy) {
  const TestWorld world;
  world.InHome(".npmrc", "registry=https://npm.example\n");
  world.InProject("package-lock.json", "{}");
  const Plan plan = *world.Make({"npx", "npm", "i"}).plan;
  EXPECT_EQ(Refusals(plan), "");
  EXPECT_EQ(plan.decision.profile, "pm-npm-install");
  EXPECT_EQ(plan.decision.rule, "pm:npm:install");
  EXPECT_EQ(plan.decision.matched, "npm install");
  EXPECT_EQ(AllowedHosts(plan), Texts({"npm.example:443"}));
  EXPECT_TRUE(plan.network.allow[0].may_be_private);
  EXPECT_EQ(FindMount(plan, world.project + "/node_modules")->if_missing,
            IfMissing::kMakeDirectory);
  EXPECT_EQ(FindMount(plan, world.project + "/package-lock.json")->type, NodeType::kFile);
  EXPECT_FALSE(FindMount(plan, world.project + "/package-lock.json")->read_only);
  EXPECT_EQ(plan.lockfiles[0].sha256.size(), 64U);
  EXPECT_EQ(FindMount(plan, world.around.home + "/.npmrc")->source, world.around.home + "/.npmrc");
}

TEST(Resolve, AManagerThatAnotherProgramStartsIsSeenToo) {
  const TestWorld world;
  TestWorld::Write(world.root() + "/pyenv/shims/pip", "#!/bin/sh\n");
  (void)chmod((world.root() + "/pyenv/shims/pip").c_str(), 0755);
  TestWorld::Write(
      world.root() + "/pyenv/versions/3/lib/python3.11/site-packages/pip/_internal/models/index.py",
      "PyPI = PackageIndex(\"https://index.example/\", file_storage_domain=\"files.example\")\n");
  Surroundings around = world.around;
  around.environment["PATH"] = world.root() + "/pyenv/shims:/usr/bin";
  PlanRequest request;
  request.argv = {"env", "A=b", "pip", "install", "x"};
  const Plan plan = *MakePlan(request, around).plan;
  EXPECT_EQ(AllowedHosts(plan), Texts({"index.example:443", "files.example:443"}));
  EXPECT_NE(FindMount(plan, world.root() + "/pyenv"), nullptr);
}

TEST(Resolve, UsersRulesBeatPresetsAndProfilesAreFoundByName) {
  const TestWorld world;
  world.InProject("cordon.yaml",
                  "version: 1\npackage_manager: {name: npm}\n"
                  "profiles: {mine: {network: off}}\n"
                  "dispatch: {first: {match: 'npm install*', profile: mine}, second: {match: 'npm "
                  "*', profile: pm-npm-build}}\n");
  EXPECT_EQ(world.Make({"npm", "i"}).plan->decision.profile, "mine");
  EXPECT_EQ(world.Make({"npm", "test"}).plan->decision.profile, "pm-npm-build");
  EXPECT_EQ(world.Make({"make"}).plan->decision.profile, "default");
  PlanRequest request;
  request.argv = {"make"};
  request.profile = "mine";
  EXPECT_EQ(MakePlan(request, world.around).plan->decision.profile_from, "--profile");
  request.profile = "none";
  EXPECT_FALSE(MakePlan(request, world.around).plan.has_value());
}

constexpr const char* kWide =
    "version: 1\n"
    "workspace: {writable: true}\n"
    "environment: {pass_through: [TERM, NPM_TOKEN, FOO]}\n"
    "mounts: [{source: /opt, target: /opt, read_only: true}]\n"
    "secrets: [{name: key, source: ~/.ssh/id, target: /key}]\n"
    "profiles:\n"
    "  default:\n"
    "    network: on\n"
    "    network_allow: [evil.example, 10.0.0.0/8]\n"
    "    writable_paths: [out, .git/hooks]\n"
    "    no_new_privileges: false\n"
    "    capabilities: [SYS_ADMIN]\n"
    "    ports: ['8080']\n"
    "    pre_run: [touch /tmp/owned]\n"
    "    pre_run_on: host\n"
    "    limits: {memory: 1TiB}\n"
    "  root: {mode: host}\n";

TEST(Resolve, AProjectGainsNothingBeforeItIsApproved) {
  TestWorld world;
  world.InHome(".ssh/id", "key");
  world.InProject("cordon.yaml", kWide);
  world.around.environment["NPM_TOKEN"] = "t";
  world.around.environment["FOO"] = "f";
  world.around.environment["TERM"] = "xterm";
  const Plan plan = *world.Make({"make"}).plan;
  EXPECT_EQ(AllowedHosts(plan), Texts());
  EXPECT_EQ(FindMount(plan, "/opt"), nullptr);
  EXPECT_EQ(FindMount(plan, "/key"), nullptr);
  EXPECT_EQ(FindMount(plan, world.project + "/.git/hooks"), nullptr);
  EXPECT_NE(FindMount(plan, world.project + "/out"), nullptr);
  EXPECT_TRUE(plan.rights.no_new_privileges);
  EXPECT_TRUE(plan.rights.capabilities_added.empty());
  EXPECT_TRUE(plan.network.ports.empty());
  EXPECT_TRUE(plan.pre_run.empty());
  EXPECT_EQ(plan.limits.memory_bytes, uint64_t{4} << 30);
  EXPECT_EQ(Value(plan, "NPM_TOKEN"), "(not there)");
  EXPECT_EQ(Value(plan, "FOO"), "(not there)");
  EXPECT_EQ(Value(plan, "TERM"), "xterm");
  EXPECT_EQ(plan.withheld.size(), 12U) << WithheldText(plan);
  EXPECT_NE(Refusals(plan).find("12 things need your approval"), std::string::npos);
}

TEST(Resolve, AProfileForTheHostStaysBehindTheWall) {
  const TestWorld world;
  world.InProject("cordon.yaml", "version: 1\nprofiles: {default: {mode: host}}\n");
  const Plan before = *world.Make({"make"}).plan;
  EXPECT_EQ(before.wall, Wall::kNative);
  EXPECT_NE(Refusals(before), "");
  world.ApproveAll({"make"});
  const Plan after = *world.Make({"make"}).plan;
  EXPECT_EQ(after.wall, Wall::kNone);
  EXPECT_EQ(Refusals(after), "");
  EXPECT_NE(PlanHash(before), PlanHash(after));
}

TEST(Resolve, ApprovalIsOfTheseBytes) {
  TestWorld world;
  world.InHome(".ssh/id", "key");
  world.InProject("cordon.yaml", kWide);
  world.around.environment["FOO"] = "f";
  world.ApproveAll({"make"});
  const Plan plan = *world.Make({"make"}).plan;
  EXPECT_EQ(WithheldText(plan), "");
  EXPECT_EQ(AllowedHosts(plan), Texts({"evil.example", "10.0.0.0/8"}));
  EXPECT_EQ(Value(plan, "FOO"), "f");
  EXPECT_EQ(FindMount(plan, "/key")->source, world.around.home + "/.ssh/id");
  EXPECT_TRUE(plan.pre_run[0].on_host);
  EXPECT_EQ(plan.limits.memory_bytes, uint64_t{1} << 40);
  // The wall native has no capabilities to give.
  EXPECT_NE(Refusals(plan).find("the wall native cannot enforce: capabilities"), std::string::npos);
  world.InProject("cordon.yaml", std::string(kWide) + "# changed\n");
  EXPECT_EQ(world.Make({"make"}).plan->withheld.size(), 11U);
}

TEST(Resolve, TheUsersPolicyGrants) {
  TestWorld world;
  world.UserPolicy(
      "version: 1\n"
      "grants:\n"
      "  network_allow: ['*.corp.example']\n"
      "  environment: [FOO, 'BAR_*']\n"
      "  mounts: [{path: /opt}]\n"
      "limits: {memory: 2GiB}\n"
      "environment: {deny: ['BAR_X*']}\n"
      "workspace: {exclude_paths: [.env]}\n");
  world.InProject(".env", "x");
  world.InProject(
      "cordon.yaml",
      "version: 1\n"
      "environment: {pass_through: [FOO, BAR_A, BAR_X1, BAR_TOKEN]}\n"
      "mounts: [{source: /opt, target: /opt, read_only: true}, {source: /opt, target: /rw}]\n"
      "profiles: {default: {network: on, network_allow: [a.corp.example, corp.example]}}\n"
      "limits: {memory: 3GiB, processes: 10}\n");
  for (const char* name : {"FOO", "BAR_A", "BAR_X1", "BAR_TOKEN"})
    world.around.environment[name] = "v";
  const Plan plan = *world.Make({"make"}).plan;
  EXPECT_EQ(AllowedHosts(plan), Texts({"a.corp.example"}));
  EXPECT_EQ(Value(plan, "BAR_A"), "v");
  EXPECT_EQ(Value(plan, "BAR_X1"), "(not there)");
  EXPECT_EQ(Value(plan, "BAR_TOKEN"), "(not there)");
  EXPECT_NE(FindMount(plan, "/opt"), nullptr);
  EXPECT_EQ(FindMount(plan, "/rw"), nullptr);
  EXPECT_EQ(plan.limits.memory_bytes, uint64_t{2} << 30);
  EXPECT_EQ(plan.limits.processes, 10U);
  EXPECT_EQ(FindMount(plan, world.project + "/.env")->kind, MountKind::kMask);
  EXPECT_EQ(WithheldText(plan),
            "more memory than your policy's limit\n/opt of the host at /rw, writable\nthe host "
            "corp.example\n"
            "the variable BAR_TOKEN, which looks secret: its name holds TOKEN\n");
}

// What a user grants widely is what is public: a project's file names nothing private out of it.
TEST(Resolve, AWideGrantOfHostsMeansNothingPrivate) {
  const TestWorld world;
  const auto with = [&](const std::string& grants, const std::string& hosts) {
    world.UserPolicy("version: 1\ngrants: {" + grants + "}\n");
    world.InProject(
        "cordon.yaml",
        "version: 1\nprofiles: {default: {network: 'on', network_allow: [" + hosts + "]}}\n");
    const Plan plan = *world.Make({"true"}).plan;
    std::string text;
    for (const HostGrant& grant : plan.network.allow) {
      text += grant.rule.ToString() + (grant.may_be_private ? " private\n" : "\n");
    }
    return text + "-\n" + WithheldText(plan);
  };
  const std::string wide = "network_allow: ['*.wide.example', 0.0.0.0/0, '::/0']";
  EXPECT_EQ(with(wide, "a.wide.example, 8.8.8.8"), "a.wide.example\n8.8.8.8\n-\n");
  EXPECT_EQ(with(wide, "0.0.0.0/0, 10.0.0.0/7"), "0.0.0.0/0\n10.0.0.0/7\n-\n");
  EXPECT_EQ(with(wide, "169.254.169.254, 10.0.0.5, 'fd00::1'"),
            "-\nthe host 169.254.169.254\nthe host 10.0.0.5\nthe host fd00::1\n");
  EXPECT_EQ(with("any_network: true", "a.example, 10.0.0.5"), "a.example\n-\nthe host 10.0.0.5\n");
  EXPECT_EQ(with("network_allow: [a.wide.example, 10.0.0.0/8]", "a.wide.example, 10.0.0.5"),
            "a.wide.example private\n10.0.0.5 private\n-\n");
  EXPECT_EQ(with("network_allow: [169.254.0.0/16]", "169.254.169.254, 169.254.7.7"),
            "169.254.7.7 private\n-\nthe host 169.254.169.254\n");
  with(wide, "a.wide.example, 10.0.0.5");
  world.ApproveAll({"true"});
  EXPECT_EQ(with(wide, "a.wide.example, 10.0.0.5"),
            "a.wide.example private\n10.0.0.5 private\n-\n");
}

TEST(Resolve, HostsThatOnlyTheProjectNamesNeedApproval) {
  const TestWorld world;
  world.InHome(".npmrc", "registry=https://npm.example\n");
  world.InProject(".npmrc", "registry=http://127.0.0.1:4873\n");
  world.InProject(
      "package-lock.json",
      R"({"a": {"resolved": "https://npm.example/a"}, "b": {"resolved": "https://evil.example/b"}})");
  const Plan before = *world.Make({"npm", "ci"}).plan;
  EXPECT_EQ(AllowedHosts(before), Texts({"npm.example:443"}));
  EXPECT_EQ(WithheldText(before), "the host 127.0.0.1:4873\nthe host evil.example:443\n");
  world.ApproveAll({"npm", "ci"});
  const Plan after = *world.Make({"npm", "ci"}).plan;
  EXPECT_EQ(AllowedHosts(after), Texts({"npm.example:443", "127.0.0.1:4873", "evil.example:443"}));
  EXPECT_FALSE(after.network.allow[2].may_be_private);
  // The same hosts in a new lockfile are the same approval; a new host is not.
  world.InProject("package-lock.json", R"({"c": {"resolved": "https://evil.example/c"}})");
  EXPECT_EQ(WithheldText(*world.Make({"npm", "ci"}).plan), "");
  world.InProject("package-lock.json", R"({"c": {"resolved": "https://worse.example/c"}})");
  EXPECT_EQ(WithheldText(*world.Make({"npm", "ci"}).plan), "the host worse.example:443\n");
}

TEST(Resolve, LinksInTheWayOfWritablePathsAreRefused) {
  const TestWorld world;
  world.InHome(".ssh/id", "key");
  std::filesystem::create_symlink(world.around.home + "/.ssh", world.project + "/node_modules");
  const Plan plan = *world.Make({"npm", "ci"}).plan;
  EXPECT_EQ(FindMount(plan, world.project + "/node_modules"), nullptr);
  EXPECT_NE(Refusals(plan).find("node_modules/ leads through a symbolic link"), std::string::npos);
}

TEST(Resolve, WhatTheHostObeysIsProtectedInAWritableWorkspace) {
  const TestWorld world;
  world.InProject(".git/config", "[core]\n");
  world.InProject("sub/.git/config", "[remote]\n url = https://u:p@h.example/\n");
  world.InProject(".git/hooks/pre-commit", "x");
  world.InProject("cordon.yaml",
                  "version: 1\nworkspace: {writable: true}\nprofiles: {default: {writable: true, "
                  "writable_paths: []}}\n");
  EXPECT_EQ(WithheldText(*world.Make({"make"}).plan), "a writable workspace\n");
  world.ApproveAll({"make"});
  const Plan plan = *world.Make({"make"}).plan;
  EXPECT_EQ(Refusals(plan), "");
  EXPECT_FALSE(FindMount(plan, world.project)->read_only);
  for (const char* path : {"/.git/hooks", "/.git/config", "/cordon.yaml"}) {
    const Mount* mount = FindMount(plan, world.project + path);
    ASSERT_NE(mount, nullptr) << path;
    EXPECT_TRUE(mount->read_only && mount->pinned && mount->kind == MountKind::kBind) << path;
  }
  EXPECT_EQ(FindMount(plan, world.project + "/.git/commondir")->kind, MountKind::kPlaceholder);
  EXPECT_EQ(FindMount(plan, world.project + "/.vscode")->kind, MountKind::kPlaceholder);
  EXPECT_EQ(FindMount(plan, world.project + "/sub/.git/config")->kind, MountKind::kMask);
  EXPECT_EQ(FindMount(plan, world.project + "/sub/.git/hooks")->kind, MountKind::kPlaceholder);
}

TEST(Resolve, ARepositoryBehindALinkRefusesAWritableWorkspace) {
  const TestWorld world;
  world.InProject("store/HEAD", "x");
  std::filesystem::create_directory(world.project + "/sub");
  std::filesystem::create_symlink("../store", world.project + "/sub/.git");
  world.InProject(
      "cordon.yaml",
      "version: 1\nworkspace: {writable: true}\nprofiles: {default: {writable: true}}\n");
  world.ApproveAll({"make"});
  EXPECT_NE(Refusals(*world.Make({"make"}).plan).find("sub/.git may be written and leads through"),
            std::string::npos);
}

TEST(Resolve, HooksThatGitIsToldToRunAreNotWritten) {
  const TestWorld world;
  world.InProject(".git/config", "[core]\n\thooksPath = tools/hooks\n");
  const auto refusals = [&](const std::string& writable) {
    world.InProject("cordon.yaml", "version: 1\nworkspace: {writable_paths: [" + writable +
                                       "]}\nprofiles: {default: {}}\n");
    return Refusals(*world.Make({"make"}).plan);
  };
  for (const char* writable : {"tools", "tools/hooks", "tools/hooks/deep"})
    EXPECT_NE(refusals(writable).find("git runs what is in it"), std::string::npos) << writable;
  EXPECT_EQ(refusals("tool"), "");
  world.InProject("tools/other", "x");
  EXPECT_EQ(refusals("tools"), "");
  const Plan plan = *world.Make({"make"}).plan;
  EXPECT_EQ(FindMount(plan, world.project + "/tools/hooks")->kind, MountKind::kPlaceholder);
}

// The walls look for what is to be hidden by its name, one after the other.
TEST(Resolve, NothingIsHiddenInWhatIsHiddenAlready) {
  const TestWorld world;
  for (int i = 0; i < 50; ++i) {
    const std::string name = std::to_string(i);
    world.InProject("secrets/key" + name, "x");
    std::filesystem::create_symlink("secrets/key" + name, world.project + "/" + name + ".pem");
  }
  world.InProject("cordon.yaml", "version: 1\nworkspace: {exclude_paths: [secrets, '*.pem']}\n");
  const Plan plan = *world.Make({"make"}).plan;
  const Mount* folder = FindMount(plan, world.project + "/secrets");
  ASSERT_NE(folder, nullptr);
  for (const Mount* mount = folder + 1; mount < plan.mounts.data() + plan.mounts.size(); ++mount)
    EXPECT_FALSE(IsWithin(mount->target, folder->target)) << mount->target;
}

// What an engine would take for its own option, or for a place of the host.
TEST(Resolve, AnImageIsAName) {
  const TestWorld world;
  for (const char* name : {"-v=/:/host", "--privileged", "dir:/etc", "a b", ""}) {
    world.InProject("cordon.yaml", "version: 1\nimage: {ref: '" + std::string(name) + "'}\n");
    EXPECT_FALSE(world.Make({"make"}).plan.has_value()) << name;
  }
  for (const char* name : {"a", "localhost:5000/a/b_c:1.0-x", "docker.io/a@sha256:0f"}) {
    world.InProject("cordon.yaml", "version: 1\nimage: {ref: '" + std::string(name) + "'}\n");
    EXPECT_TRUE(world.Make({"make"}).plan.has_value()) << name;
  }
}

TEST(Resolve, ExcludedPathsAreMaskedBarredOrRefused) {
  const TestWorld world;
  world.InProject("a/.env", "x");
  world.InProject("secrets/key", "x");
  std::filesystem::create_symlink("../secrets/key", world.project + "/a/link.pem");
  const std::string excludes = "exclude_paths: [.env, '*.pem', none/file]";
  world.InProject("cordon.yaml",
                  "version: 1\nworkspace: {" + excludes + "}\nprofiles: {default: {}}\n");
  const Plan plan = *world.Make({"make"}).plan;
  EXPECT_EQ(Refusals(plan), "");
  EXPECT_EQ(FindMount(plan, world.project + "/a/.env")->kind, MountKind::kMask);
  EXPECT_EQ(FindMount(plan, world.project + "/secrets/key")->kind, MountKind::kMask);
  EXPECT_EQ(FindMount(plan, world.project + "/.env")->kind, MountKind::kPlaceholder);
  EXPECT_EQ(FindMount(plan, world.project + "/none")->kind, MountKind::kPlaceholder);
  world.InProject("cordon.yaml", "version: 1\nworkspace: {writable: true, " + excludes +
                                     "}\nprofiles: {default: {writable: true}}\n");
  world.ApproveAll({"make"});
  EXPECT_NE(Refusals(*world.Make({"make"}).plan).find("needs workspace.shadow"), std::string::npos);
  world.InProject("cordon.yaml", "version: 1\nworkspace: {writable: true, shadow: true, " +
                                     excludes + "}\nprofiles: {default: {writable: true}}\n");
  world.ApproveAll({"make"});
  EXPECT_EQ(Refusals(*world.Make({"make"}).plan), "");
}

TEST(Resolve, AFoundPolicyIsAPlainFileOfThisUser) {
  const TestWorld world;
  TestWorld::Write(world.root() + "/other/cordon.yaml", "version: 1\n");
  std::filesystem::create_symlink(world.root() + "/other/cordon.yaml",
                                  world.project + "/cordon.yaml");
  Planned planned = world.Make({"make"});
  ASSERT_FALSE(planned.plan.has_value());
  EXPECT_NE(planned.errors[0].message.find("a symbolic link"), std::string::npos);
  TestWorld foreign;
  foreign.InProject("cordon.yaml", "version: 1\n");
  foreign.around.uid = 12345;
  std::filesystem::remove_all(foreign.around.config_home);
  planned = foreign.Make({"make"});
  // Root's file is nobody's danger.
  EXPECT_EQ(planned.plan.has_value(), getuid() == 0);
}

// One place that says several things shows all of them.
TEST(Resolve, AnAliasHidesNoDemand) {
  const TestWorld world;
  world.InProject("cordon.yaml",
                  "version: 1\nenvironment: {pass_through: [&x api]}\n"
                  "profiles: {default: {network: on, network_allow: [*x]}}\n");
  const Planned planned = world.Make({"make"});
  EXPECT_EQ(AllowedHosts(*planned.plan), Texts());
  ASSERT_EQ(planned.project->asks.size(), 1U);
  EXPECT_EQ(planned.project->asks.begin()->second.what, "the variable api, the host api");
}

TEST(Resolve, SecretsByProfileAndRole) {
  TestWorld world;
  world.InHome("key", "k");
  world.UserPolicy(
      "version: 1\n"
      "secrets:\n"
      "  - {name: a, source: ~/key, target: /a, when_profiles: [default]}\n"
      "  - {name: b, source: ~/key, target: /b, deny_roles: [install]}\n"
      "  - {name: c, source: ~/key, descriptor: KEY_FD}\n"
      "profiles: {default: {}, install: {}}\n");
  PlanRequest request;
  request.argv = {"make"};
  Plan plan = *MakePlan(request, world.around).plan;
  EXPECT_NE(FindMount(plan, "/a"), nullptr);
  EXPECT_NE(FindMount(plan, "/b"), nullptr);
  ASSERT_EQ(plan.secrets.size(), 1U);
  EXPECT_EQ(plan.secrets[0].variable, "KEY_FD");
  request.profile = "install";
  plan = *MakePlan(request, world.around).plan;
  EXPECT_EQ(FindMount(plan, "/a"), nullptr);
  EXPECT_EQ(FindMount(plan, "/b"), nullptr);
}

TEST(Resolve, AnInstallWithNetworkNeverGetsASecretVariable) {
  TestWorld world;
  world.around.environment["NPM_TOKEN"] = "t";
  world.UserPolicy(
      "version: 1\nenvironment: {pass_through: [NPM_TOKEN]}\npackage_manager: {name: npm}\n");
  EXPECT_NE(Refusals(*world.Make({"npm", "ci"}).plan).find("would get the secret NPM_TOKEN"),
            std::string::npos);
  const Plan plan = *world.Make({"npm", "test"}).plan;
  EXPECT_EQ(Refusals(plan), "");
  EXPECT_EQ(CanonicalJson(plan).find("\"t\""), std::string::npos);
  EXPECT_NE(PlanText(plan, {}).find("NPM_TOKEN=(secret)"), std::string::npos);
}

TEST(Resolve, MountsWithCredentialsAreRefusedWhoeverAsks) {
  const TestWorld world;
  world.InHome(".ssh/id", "key");
  world.UserPolicy(
      "version: 1\nmounts: [{source: ~/, target: /h}, {source: ~/.ssh/id, target: /k}, {source: "
      "/none, target: /n}]\n");
  const Plan plan = *world.Make({"make"}).plan;
  EXPECT_NE(Refusals(plan).find("would show your home directory"), std::string::npos);
  EXPECT_NE(Refusals(plan).find("would show ~/.ssh"), std::string::npos);
  EXPECT_NE(Refusals(plan).find("host path for mount does not exist: /none"), std::string::npos);
  TestWorld at_home;
  at_home.around.directory = at_home.around.home;
  EXPECT_NE(Refusals(*at_home.Make({"make"}).plan).find("shows your home directory"),
            std::string::npos);
}

// Whoever could write them would choose what the next command takes for the machine's.
TEST(Resolve, RootsThatAreKeptCannotBeWritten) {
  const TestWorld world;
  const std::string grants = "version: 1\ngrants: {workspace: all}\n";
  const std::string rule = "mounts: [{source: ~/.cache, target: /c, read_only: ";
  world.InHome(".cache/other/file", "x");
  world.UserPolicy(grants + rule + "true}]\n");
  EXPECT_EQ(Refusals(*world.Make({"make"}).plan), "");
  // There or not.
  for (const char* path : {".cache/other/file", ".cache/cordon/roots/one"}) {
    world.InHome(path, "x");
    world.UserPolicy(grants + rule + "false}]\n");
    EXPECT_NE(Refusals(*world.Make({"make"}).plan).find("keeps for other commands"),
              std::string::npos);
  }
  world.UserPolicy(grants +
                   "mounts: [{source: ~/.cache/cordon/roots/one, target: /c, read_only: false}]\n");
  EXPECT_NE(Refusals(*world.Make({"make"}).plan).find("keeps for other commands"),
            std::string::npos);
  // By another name.
  TestWorld elsewhere;
  std::filesystem::create_directories(elsewhere.root() + "/data");
  std::filesystem::create_symlink(elsewhere.root() + "/data", elsewhere.root() + "/link");
  elsewhere.around.cache_home = elsewhere.root() + "/link/cordon";
  elsewhere.UserPolicy(grants + "mounts: [{source: " + elsewhere.root() +
                       "/data, target: /c, read_only: false}]\n");
  EXPECT_NE(Refusals(*elsewhere.Make({"make"}).plan).find("keeps for other commands"),
            std::string::npos);
  // A workspace, and one whose changes are taken over.
  for (const bool is_shadow : {false, true}) {
    TestWorld inside;
    inside.around.cache_home = inside.project + "/cache";
    inside.InProject(
        "cordon.yaml",
        "version: 1\nworkspace: {writable: true}\nprofiles: {default: {writable: true}}\n");
    inside.UserPolicy(grants);
    PlanRequest request;
    request.argv = {"make"};
    request.shadow = is_shadow;
    EXPECT_NE(Refusals(*MakePlan(request, inside.around).plan).find("keeps for other commands"),
              std::string::npos);
  }
}

TEST(Resolve, AProjectCannotChooseAWallThatEnforcesLess) {
  for (const char* wall : {"none", "bwrap", "nsjail", "sandbox-exec"}) {
    const TestWorld world;
    world.InProject("cordon.yaml", std::string("version: 1\nwall: ") + wall + "\n");
    const Planned planned = world.Make({"make"});
    ASSERT_TRUE(planned.plan) << wall;
    EXPECT_EQ(planned.plan->wall, Wall::kNative) << wall;
    EXPECT_NE(Refusals(*planned.plan).find("approval"), std::string::npos) << wall;
    // The user says which one he wants.
    const TestWorld own;
    own.UserPolicy(std::string("version: 1\nwall: ") + wall + "\n");
    EXPECT_EQ(own.Make({"make"}).plan->wall, FindWall(wall)->wall);
  }
}

TEST(Resolve, AWallRefusesWhatItCannotEnforce) {
  const TestWorld world;
  world.InHome(".npmrc", "registry=https://npm.example\n");
  PlanRequest request;
  request.argv = {"npm", "ci"};
  request.wall = "nsjail";
  EXPECT_NE(Refusals(*MakePlan(request, world.around).plan)
                .find("the wall nsjail cannot enforce: a list of hosts"),
            std::string::npos);
  request.wall = "container";
  EXPECT_NE(Refusals(*MakePlan(request, world.around).plan).find("needs an image"),
            std::string::npos);
  request.image = "node:22";
  EXPECT_EQ(Refusals(*MakePlan(request, world.around).plan), "");
  request.strict = true;
  EXPECT_NE(Refusals(*MakePlan(request, world.around).plan).find("has no digest"),
            std::string::npos);
  request.wall = "moat";
  EXPECT_FALSE(MakePlan(request, world.around).plan.has_value());
}

TEST(Resolve, ThePlanHasOneNameAndTellsNoTerminalAnything) {
  TestWorld world;
  const Plan plan = *world.Make({"make", "a"}).plan;
  EXPECT_EQ(PlanHash(plan), PlanHash(*world.Make({"make", "a"}).plan));
  EXPECT_NE(PlanHash(plan), PlanHash(*world.Make({"make", "b"}).plan));
  EXPECT_NE(PlanHash(*world.Make({"make", "\xff"}).plan),
            PlanHash(*world.Make({"make", "\xfe"}).plan));
  const std::string text = PlanText(*world.Make({"make", "\x1b]0;x\x07", "\xe2\x80\xae"}).plan, {});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find("\xe2\x80\xae"), std::string::npos);
}

TEST(Resolve, ErrorsOfAllFilesAtOnce) {
  const TestWorld world;
  world.UserPolicy("version: 1\nx: 1\n");
  world.InProject("cordon.yaml", "version: 1\ny: 1\n");
  const Planned planned = world.Make({"make"});
  EXPECT_FALSE(planned.plan.has_value());
  EXPECT_EQ(planned.errors.size(), 2U);
}

}  // namespace
}  // namespace cordon::policy
