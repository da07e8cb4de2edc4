// A commit whose process is killed, at every point where it changes a disk; and one that somebody
// works against.

#include <sys/wait.h>

#include <csignal>

#include "shadow/test_world.h"

namespace cordon::shadow {
namespace {

namespace fs = std::filesystem;

// Every kind of step, and directories that need rights.
void MakeWorkspace(const World& world) {
  World::Write(world.Real("edit"), "before");
  World::Write(world.Real("gone"), "gone");
  World::Write(world.Real("was-dir/x"), "x");
  World::Write(world.Real("was-file"), "f");
  World::Write(world.Real("mode"), "m", 0600);
  World::Write(world.Real("locked/in"), "in");
  SetMode(world.Real("locked"), 0555);
}

void ChangeShadow(const World& world) {
  World::Write(world.Inside("edit"), "after");
  fs::remove(world.Inside("gone"));
  fs::remove_all(world.Inside("was-dir"));
  World::Write(world.Inside("was-dir"), "a file");
  fs::remove(world.Inside("was-file"));
  World::Write(world.Inside("was-file/y"), "y");
  SetMode(world.Inside("mode"), 0755);
  SetMode(world.Inside("locked"), 0755);
  World::Write(world.Inside("locked/new"), "new");
  World::Write(world.Inside("sealed/file"), "s");
  SetMode(world.Inside("sealed"), 0500);
  fs::create_symlink("edit", world.Inside("link"));
}

// How many checkpoints it came to; the process is killed at the one with this number.
bool CommitInChild(const World& world, int deadly) {
  const pid_t pid = fork();
  if (pid == 0) {
    int count = 0;
    CommitRequest request;
    request.checkpoint = [&](const char*) {
      if (count++ == deadly) (void)kill(getpid(), SIGKILL);
    };
    const Result<Shadow> shadow = world.OpenStore().OpenShadow(world.id(), Use::kAlone);
    const Result<CommitResult> result = Commit(*shadow, request);
    _exit(result && result->is_done ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status);
}

TEST(Crash, EveryPointLeavesTheOldOrTheNewTree) {
  int olds = 0;
  int news = 0;
  constexpr int kMorePointsThanThereAre = 500;
  for (int deadly = 0; deadly < kMorePointsThanThereAre; ++deadly) {
    World world;
    MakeWorkspace(world);
    world.Make();
    ChangeShadow(world);
    const auto before = World::Picture(world.workspace());
    std::string inside = world.Inside("");
    inside.pop_back();
    const auto after = World::Picture(inside);
    const bool was_killed = CommitInChild(world, deadly);
    {
      const Shadow shadow = world.OpenAlone();
      const Result<std::vector<std::string>> lines = Recover(shadow);
      ASSERT_TRUE(lines.has_value()) << deadly << lines.error().ToString();
      EXPECT_EQ(lines->size(), 0U) << deadly << lines->front();
      EXPECT_FALSE(shadow.Has("journal"));
      EXPECT_FALSE(shadow.Has("base.next"));
    }
    const auto now = World::Picture(world.workspace());
    const bool is_new = now == after;
    EXPECT_TRUE(is_new || now == before) << "killed at point " << deadly;
    EXPECT_EQ(world.Changes().empty(), is_new) << deadly;
    ++(is_new ? news : olds);
    // What was taken back can be committed.
    EXPECT_EQ(world.TryCommit(), "") << deadly;
    EXPECT_EQ(World::Picture(world.workspace()), after) << deadly;
    if (!was_killed) break;
  }
  EXPECT_GT(olds, 30);
  EXPECT_GT(news, 10);
}

TEST(Crash, WhatTheUserDidMeanwhileIsKept) {
  World world;
  World::Write(world.Real("a"), "a");
  World::Write(world.Real("b"), "b");
  world.Make();
  World::Write(world.Inside("a"), "A");
  World::Write(world.Inside("b"), "B");
  int deadly = 0;
  // Killed when the first file is new and the second one is not.
  while (World::Text(world.Real("a")) != "A" || World::Text(world.Real("b")) != "b") {
    ASSERT_TRUE(Recover(world.OpenAlone()).has_value());
    ASSERT_TRUE(CommitInChild(world, deadly++));
  }
  // In the place, and by another file with the name.
  std::ofstream(world.Real("a")) << "the user's own";
  const Result<std::vector<std::string>> lines = Recover(world.OpenAlone());
  ASSERT_TRUE(lines.has_value());
  ASSERT_EQ(lines->size(), 1U);
  EXPECT_NE(lines->front().find("a was changed by somebody meanwhile"), std::string::npos);
  EXPECT_EQ(World::Text(world.Real("a")), "a");
  bool is_kept = false;
  for (const auto& [path, what] : World::Picture(world.workspace()))
    is_kept = is_kept || what.find("the user's own") != std::string::npos;
  EXPECT_TRUE(is_kept);
}

TEST(Race, ParentsThatBecomeLinksLeadNowhere) {
  World world;
  fs::create_directories(world.folder() + "/victim/sub");
  World::Write(world.folder() + "/victim/file", "safe");
  World::Write(world.folder() + "/victim/sub/file", "safe");
  World::Write(world.Real("d/sub/file"), "0");
  World::Write(world.Real("d/file"), "0");
  world.Make();
  const auto victim = World::Picture(world.folder() + "/victim");
  // A process of the same user puts a link in the place of `d`, and `d` back, as fast as it can.
  const std::string parked = world.folder() + "/parked";
  fs::create_symlink(world.folder() + "/victim", parked);
  const pid_t enemy = fork();
  if (enemy == 0) {
    for (;;) {
      (void)renameat2(AT_FDCWD, parked.c_str(), AT_FDCWD, world.Real("d").c_str(), RENAME_EXCHANGE);
    }
  }
  int done = 0;
  int failed = 0;
  constexpr int kRounds = 60;
  constexpr int kPatience = 3000;  // on a machine where the enemy hardly runs
  for (int round = 1; round <= kRounds || (failed == 0 && round <= kPatience); ++round) {
    World::Write(world.Inside("d/sub/file"), std::to_string(round));
    World::Write(world.Inside("d/new" + std::to_string(round)), "new");
    CommitRequest request;
    request.force = {"d"};
    ++(world.TryCommit(request).empty() ? done : failed);
    (void)Recover(world.OpenAlone());
  }
  (void)kill(enemy, SIGKILL);
  int status = 0;
  EXPECT_EQ(waitpid(enemy, &status, 0), enemy);
  EXPECT_EQ(World::Picture(world.folder() + "/victim"), victim);
  EXPECT_GT(failed, 0);  // otherwise the enemy was too slow to show anything
}

TEST(Discard, HostileTreesGoAndNothingElse) {
  World world;
  World::Write(world.folder() + "/victim/file", "safe");
  world.Make();
  World::Write(world.Inside("closed/deep/file"), "x");
  fs::create_symlink(world.folder() + "/victim", world.Inside("closed/out"));
  fs::create_hard_link(world.folder() + "/victim/file", world.Inside("closed/hard"));
  World::Write(world.Inside("-rf \n\x1b[2J"), "x");
  ASSERT_EQ(chmod(world.Inside("closed/deep").c_str(), 0), 0);
  ASSERT_EQ(chmod(world.Inside("closed").c_str(), 0), 0);
  // Deeper than a path can be.
  ASSERT_EQ(chdir(world.Inside("").c_str()), 0);
  const std::string name(200, 'n');
  for (int depth = 0; depth < 300; ++depth) {
    ASSERT_EQ(mkdir(name.c_str(), 0700), 0);
    ASSERT_EQ(chdir(name.c_str()), 0);
    std::ofstream("file") << "x";
  }
  ASSERT_EQ(chdir("/"), 0);
  // It is seen, said and refused before it goes.
  EXPECT_NE(world.TryCommit().find("longer than 4095 bytes"), std::string::npos);
  const Store store = world.OpenStore();
  const Status discarded = store.Discard(world.OpenAlone());
  ASSERT_TRUE(discarded.has_value()) << discarded.error().ToString();
  EXPECT_TRUE(fs::is_empty(store.folder()));
  EXPECT_EQ(World::Text(world.folder() + "/victim/file"), "safe");
}

TEST(Store, WhatWasNeverFinishedGoes) {
  World world;
  const Store store = world.OpenStore();
  {
    const Result<Shadow> begun = store.Begin({});
    ASSERT_TRUE(begun.has_value());
    World::Write(begun->folder() + "/tree/x", "x");
    // Its maker still holds it.
    ASSERT_TRUE(store.RemoveRemains().has_value());
    EXPECT_TRUE(fs::exists(begun->folder() + "/tree/x"));
  }
  ASSERT_TRUE(store.RemoveRemains().has_value());
  EXPECT_TRUE(fs::is_empty(store.folder()));
}

TEST(Store, AFolderOfOthersIsRefused) {
  World world;
  (void)world.OpenStore();
  SetMode(world.folder() + "/state/cordon/shadow", 0755);
  EXPECT_FALSE(Store::Open(world.around()).has_value());
  SetMode(world.folder() + "/state/cordon/shadow", 0700);
  EXPECT_TRUE(Store::Open(world.around()).has_value());
  SetMode(world.folder() + "/state/cordon", 0777);
  EXPECT_FALSE(Store::Open(world.around()).has_value());
}

TEST(Store, CordonsOwnStateIsNoWorkspace) {
  World world;
  CreateRequest request;
  request.workspace = world.folder();
  EXPECT_FALSE(Create(world.OpenStore(), world.around(), request).has_value());
  request.workspace = world.OpenStore().folder();
  EXPECT_FALSE(Create(world.OpenStore(), world.around(), request).has_value());
}

TEST(Store, OneCommitAtATimeAndNoneWhileACommandRuns) {
  World world;
  world.Make();
  const Store store = world.OpenStore();
  const Result<Shadow> running = store.OpenShadow(world.id(), Use::kShared);
  ASSERT_TRUE(running.has_value());
  EXPECT_TRUE(store.OpenShadow(world.id(), Use::kShared).has_value());
  EXPECT_FALSE(store.OpenShadow(world.id(), Use::kAlone).has_value());
}

}  // namespace
}  // namespace cordon::shadow
