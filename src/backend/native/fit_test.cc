#include "backend/native/fit.h"

#include <gtest/gtest.h>

#include "backend/native/overlay.h"

namespace cordon::backend::native {
namespace {

using policy::IfMissing;
using policy::Mount;
using policy::MountKind;
using policy::Plan;

Mount At(MountKind kind, const std::string& target, bool read_only = true) {
  Mount mount;
  mount.kind = kind;
  mount.source = mount.target = target;
  mount.read_only = read_only;
  return mount;
}

Plan SmallPlan() {
  Plan plan;
  plan.argv = {"true"};
  plan.program = "/bin/true";
  plan.mounts = {At(MountKind::kBind, "/p"), At(MountKind::kBind, "/p/out", false)};
  return plan;
}

Mount Staged(const std::string& target) {
  Mount mount = At(MountKind::kBind, target, false);
  mount.if_missing = IfMissing::kStageFile;
  return mount;
}

TEST(Fit, TheLastAndLongestMountCovers) {
  Plan plan = SmallPlan();
  plan.mounts.push_back(At(MountKind::kTmpfs, "/p/out"));
  EXPECT_EQ(FindCovering(plan, 3, "/p/out/x"), &plan.mounts[2]);
  EXPECT_EQ(FindCovering(plan, 2, "/p/out/x"), &plan.mounts[1]);
  EXPECT_EQ(FindCovering(plan, 3, "/p/outer"), &plan.mounts[0]);
  EXPECT_EQ(FindCovering(plan, 3, "/q"), nullptr);
}

TEST(Fit, WhatIsNoMountCoversNothing) {
  Plan plan = SmallPlan();
  plan.mounts.push_back(At(MountKind::kPlaceholder, "/p/out/.env"));
  plan.mounts.push_back(Staged("/p/new.lock"));
  EXPECT_EQ(FindCovering(plan, 4, "/p/out/.env"), &plan.mounts[1]);
  EXPECT_EQ(FindCovering(plan, 4, "/p/new.lock"), &plan.mounts[0]);
}

TEST(Fit, RefusesWithTheReason) {
  const auto refusal = [](void (*change)(Plan&)) {
    Plan plan = SmallPlan();
    change(plan);
    const Status fits = CheckFits(plan);
    return fits ? std::string() : fits.error().message;
  };
  EXPECT_EQ(refusal([](Plan&) {}), "");
  EXPECT_EQ(refusal([](Plan& p) { p.network.mode = policy::NetworkMode::kList; }), "");
  EXPECT_EQ(refusal([](Plan& p) { p.network.mode = policy::NetworkMode::kAll; }), "");
  EXPECT_NE(refusal([](Plan& p) { p.network.mode = policy::NetworkMode::kNamed; }).find("engine"),
            std::string::npos);
  EXPECT_NE(refusal([](Plan& p) { p.network.mode = policy::NetworkMode::kHost; }).find("host"),
            std::string::npos);
  EXPECT_EQ(refusal([](Plan& p) { p.network.ports = {{8080, 80}}; }), "");
  EXPECT_NE(refusal([](Plan& p) { p.rights.no_new_privileges = false; }).find("privileges"),
            std::string::npos);
  EXPECT_NE(refusal([](Plan& p) { p.rights.capabilities_added = {"NET_RAW"}; }).find("capability"),
            std::string::npos);
  EXPECT_NE(refusal([](Plan& p) { p.mounts[0].target = "/"; }).find("mount at"), std::string::npos);
}

TEST(Overlay, IsMadeWhereSomebodyCouldMakeTheName) {
  Plan plan = SmallPlan();
  plan.mounts.push_back(At(MountKind::kPlaceholder, "/p/.env"));
  EXPECT_EQ(LayersOf(plan, plan.mounts[0]), Layers::kNone);
  EXPECT_EQ(LayersOf(plan, plan.mounts[1]), Layers::kNone);
  plan.mounts.push_back(At(MountKind::kPlaceholder, "/p/out/.env"));
  EXPECT_EQ(LayersOf(plan, plan.mounts[1]), Layers::kWritable);
  plan.mounts.push_back(Staged("/p/new.lock"));
  EXPECT_EQ(LayersOf(plan, plan.mounts[0]), Layers::kReadOnly);
  EXPECT_EQ(LayersOf(plan, plan.mounts.back()), Layers::kNone);
}

TEST(Overlay, StagedFilesHaveFoldersOfTheirOwn) {
  Plan plan = SmallPlan();
  plan.mounts.push_back(Staged("/p/a/x.lock"));
  plan.mounts.push_back(Staged("/p/b/x.lock"));
  const auto files = StagedFiles(plan);
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(StagedPath(*files[0], 0), "0/x.lock");
  EXPECT_EQ(StagedPath(*files[1], 1), "1/x.lock");
}

}  // namespace
}  // namespace cordon::backend::native
