#include "vfs/path_walk.h"

#include <cerrno>

#include "vfs/test_tree.h"

namespace cordon::vfs {
namespace {

class PathWalkTest : public TestTree {
 protected:
  int Found(const std::string& path, WalkMode mode = kFollow) {
    Node node;
    const int error = At(path, &node, mode);
    if (error == 0) node.fs->Release(node.id);
    return error;
  }
};

TEST_F(PathWalkTest, SlashesAndDots) {
  Start();
  ASSERT_EQ(MakeDirectory("a"), 0);
  ASSERT_EQ(MakeDirectory("a/b"), 0);
  ASSERT_EQ(MakeFile("a/f"), 0);
  for (const char* path : {"/", "//", ".", "..", "/..", "a", "a/", "a//b///", "/a/./b/../f",
                           "../../a", "a/b/../../a/f"}) {
    EXPECT_EQ(Found(path), 0) << path;
  }
  EXPECT_EQ(Found(""), -ENOENT);
  EXPECT_EQ(Found("a/f/"), -ENOTDIR);
  EXPECT_EQ(Found("a/f/."), -ENOTDIR);
  EXPECT_EQ(Found("a/f/.."), -ENOTDIR);
  EXPECT_EQ(Found("a/x/.."), -ENOENT);
  EXPECT_EQ(Found(std::string(256, 'n')), -ENAMETOOLONG);
  EXPECT_EQ(Found(std::string(255, 'n')), -ENOENT);
  EXPECT_EQ(Found(std::string(4096, '/')), -ENAMETOOLONG);
  EXPECT_EQ(Found(std::string(4095, '/')), 0);
}

TEST_F(PathWalkTest, LinksAreFollowedWhereTheyMustBe) {
  Start();
  ASSERT_EQ(MakeDirectory("d"), 0);
  ASSERT_EQ(MakeFile("d/f"), 0);
  ASSERT_EQ(MakeLink("d", "to_d"), 0);
  ASSERT_EQ(MakeLink("../d/f", "d/to_f"), 0);
  ASSERT_EQ(MakeLink("/to_d/to_f", "absolute"), 0);
  ASSERT_EQ(MakeLink("/", "d/root"), 0);
  ASSERT_EQ(MakeLink("none", "dangling"), 0);
  EXPECT_EQ(Found("absolute"), 0);
  EXPECT_EQ(Found("to_d/root/d/root/to_d/f"), 0);
  EXPECT_EQ(Found("absolute/"), -ENOTDIR);
  EXPECT_EQ(Found("to_d/", kNoFollow), 0);
  EXPECT_EQ(Found("dangling"), -ENOENT);
  EXPECT_EQ(Found("dangling", kNoFollow), 0);
  EXPECT_EQ(Found("dangling/", kNoFollow), -ENOENT);
  Node node;
  ASSERT_EQ(At("to_d", &node, kNoFollow), 0);
  Stat stat;
  ASSERT_EQ(fs_->GetStat(node.id, &stat), 0);
  EXPECT_TRUE(S_ISLNK(stat.mode));
  fs_->Release(node.id);
}

TEST_F(PathWalkTest, FortyLinksAndNoMore) {
  Start();
  ASSERT_EQ(MakeFile("l0"), 0);
  for (int i = 1; i <= 41; ++i)
    ASSERT_EQ(MakeLink("./l" + std::to_string(i - 1), "l" + std::to_string(i)), 0);
  EXPECT_EQ(Found("l40"), 0);
  EXPECT_EQ(Found("l41"), -ELOOP);
  ASSERT_EQ(MakeLink("loop", "loop"), 0);
  EXPECT_EQ(Found("loop"), -ELOOP);
  EXPECT_EQ(Found("loop/x"), -ELOOP);
}

// Long targets behind one another: the buffer's bounds.
TEST_F(PathWalkTest, LongTargets) {
  Start();
  ASSERT_EQ(MakeDirectory("d"), 0);
  ASSERT_EQ(MakeFile("d/f"), 0);
  std::string target;
  while (target.size() < 4000) target += "./";
  ASSERT_EQ(MakeLink(target + "d", "long"), 0);
  ASSERT_EQ(MakeLink(target + "long", "longer"), 0);
  EXPECT_EQ(Found("longer/f"), 0);
  std::string rest;
  while (rest.size() < 4000) rest += "/.";
  EXPECT_EQ(Found("long" + rest + "/f"), 0);
  ASSERT_EQ(MakeLink("long" + rest, "tail"), 0);
  EXPECT_EQ(Found("tail" + rest + "/f"), -ENAMETOOLONG);
}

TEST_F(PathWalkTest, CreatesThroughADanglingLink) {
  Start();
  ASSERT_EQ(MakeDirectory("d"), 0);
  ASSERT_EQ(MakeLink("d/new", "link"), 0);
  ASSERT_EQ(MakeLink("self", "self"), 0);
  Node made;
  const auto create = [&](const char* path) {
    const int error = WalkAndCreate(mounts_, kRoot, root_, root_, path, S_IFREG | 0600, &made);
    if (error == 0) fs_->Release(made.id);
    return error;
  };
  EXPECT_EQ(create("link"), 0);
  EXPECT_EQ(NamesIn("d"), std::vector<std::string>{"new"});
  EXPECT_EQ(create("link"), -EEXIST);
  EXPECT_EQ(create("self"), -ELOOP);
  EXPECT_EQ(create("d/"), -EISDIR);
  EXPECT_EQ(create("d/x/y"), -ENOENT);
}

TEST_F(PathWalkTest, MountsAreCrossedBothWays) {
  Start();
  ASSERT_EQ(MakeDirectory("mnt"), 0);
  ASSERT_EQ(MakeFile("mnt/covered"), 0);
  ASSERT_EQ(MakeDirectory("beside"), 0);
  MemoryFs* other = MemoryFs::Create(objects_, blocks_, nullptr, quotas_);
  ASSERT_NE(other, nullptr);
  Node inside;
  ASSERT_EQ(other->Create(kRoot, other->Root().id, "inside", S_IFDIR | 0755, 0, &inside), 0);
  Node covered;
  ASSERT_EQ(At("mnt", &covered), 0);
  mounts_.mounts[0].covered = covered;
  mounts_.mounts[0].root = other->Root();
  mounts_.count = 1;
  EXPECT_EQ(Found("mnt/inside"), 0);
  EXPECT_EQ(Found("mnt/covered"), -ENOENT);
  EXPECT_EQ(Found("mnt/inside/../../beside"), 0);
  EXPECT_EQ(Found("mnt/../mnt/dev/null"), 0);
  char path[64];
  EXPECT_EQ(PathOf(mounts_, root_, inside, path, sizeof path), 12);
  EXPECT_STREQ(path, "/mnt/inside");
  EXPECT_EQ(PathOf(mounts_, root_, inside, path, 11), -ERANGE);
  EXPECT_EQ(PathOf(mounts_, root_, root_, path, sizeof path), 2);
  EXPECT_STREQ(path, "/");
  mounts_.count = 0;
  fs_->Release(covered.id);
}

}  // namespace
}  // namespace cordon::vfs
