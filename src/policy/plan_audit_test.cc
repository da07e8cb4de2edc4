#include "policy/plan_audit.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "policy/plan_text.h"
#include "policy/test_world.h"

namespace cordon::policy {
namespace {

using Texts = std::vector<std::string>;

bool Says(const Texts& lines, const std::string& text) {
  return std::ranges::any_of(
      lines, [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

TEST(PlanAudit, OfACommandThatOnlyReads) {
  const TestWorld world;
  world.UserPolicy("version: 1\nlimits: {wall_time: 10s}\n");
  EXPECT_EQ(AuditPlan(*world.Make({"make"}).plan), Texts());
  EXPECT_EQ(AuditText({}), "audit\n  nothing beyond reading its workspace\n");
}

TEST(PlanAudit, OfWhatItMayDoBeyond) {
  TestWorld world;
  world.around.environment["DEPLOY_TOKEN"] = "a-secret";
  world.InHome("key", "x");
  world.InHome("shared/x", "");
  world.UserPolicy(
      "version: 1\nworkspace: {writable: true}\nenvironment: {pass_through: [DEPLOY_TOKEN]}\n"
      "secrets: [{source: ~/key, target: /run/key}]\nmounts: [{source: ~/shared, target: "
      "/shared}]\n"
      "profiles: {default: {writable: true, network: on, network_allow: ['*.example.org'], "
      "ports: ['8080:80'], pre_run: ['make ready'], pre_run_on: host}}\n");
  const Texts lines = AuditPlan(*world.Make({"make"}).plan);
  for (const char* text :
       {"on the host, outside of the wall: make ready",
        "it knows the secret variable DEPLOY_TOKEN, and has a network", "/key, and has a network",
        "every host of *.example.org", "port 80 of the command at 127.0.0.1:8080",
        "the whole workspace may be written", "/shared of the host may be written",
        "no limit of time"}) {
    EXPECT_TRUE(Says(lines, text)) << text << AuditText(lines);
  }
  EXPECT_EQ(lines.front().find("on the host"), 0U) << "the gravest first";
}

TEST(PlanAudit, OfAnInstallAndOfWhatAProjectAsks) {
  const TestWorld world;
  world.InHome(".npmrc", "registry=https://index.example\n");
  world.InProject("package.json", "{}");
  Texts lines = AuditPlan(*world.Make({"npm", "install"}).plan);
  EXPECT_TRUE(Says(lines, "no lockfile"));
  EXPECT_TRUE(Says(lines, "cordon install runs it without"));
  world.InProject("package-lock.json", "{}");
  world.InProject("cordon.yaml", "version: 1\nprofiles: {default: {network: on}}\n");
  lines = AuditPlan(*world.Make({"npm", "install"}).plan);
  EXPECT_FALSE(Says(lines, "no lockfile"));
  EXPECT_TRUE(Says(lines, "asked for and not granted: "));
}

}  // namespace
}  // namespace cordon::policy
