#include "vfs/memory_fs.h"

#include <algorithm>
#include <cerrno>

#include "vfs/test_tree.h"

namespace cordon::vfs {
namespace {

Credentials User(uint32_t uid) {
  Credentials who;
  who.uid = who.gid = uid;
  return who;
}

class MemoryFsTest : public TestTree {};

TEST_F(MemoryFsTest, ContentsComeBackAtEveryBoundary) {
  Start();
  ASSERT_EQ(MakeFile("f"), 0);
  std::string expected;
  // Sizes around the first chunk's doublings and the chunk size.
  for (const size_t size : {1, 511, 512, 513, 4095, 65535, 65536, 65537, 200'000, 1'500'000}) {
    std::string more(size, static_cast<char>('a' + size % 26));
    ASSERT_EQ(Put("f", kAppend, more), static_cast<int64_t>(size));
    expected += more;
    ASSERT_EQ(Get("f"), expected) << size;
  }
  EXPECT_EQ(Put("f", 65530, "across a boundary"), 17);
  expected.replace(65530, 17, "across a boundary");
  EXPECT_EQ(Get("f"), expected);
  EXPECT_EQ(StatOf("f").size, static_cast<int64_t>(expected.size()));
  EXPECT_EQ(Get("f", expected.size()), "");
  EXPECT_EQ(Put("f", 0, ""), 0);
}

TEST_F(MemoryFsTest, HolesReadAsZerosAndTakeNoRoom) {
  Start();
  ASSERT_EQ(MakeFile("f"), 0);
  ASSERT_EQ(Put("f", uint64_t{1} << 30, "end"), 3);
  EXPECT_LE(StatOf("f").blocks * 512, 65536);
  EXPECT_EQ(Get("f", 1000, 5), std::string(5, '\0'));
  EXPECT_EQ(Get("f", (uint64_t{1} << 30) - 1), std::string("\0end", 4));
  const auto seek = [&](uint64_t from, int whence) {
    return With("f", kRoot, [&](Node node) { return fs_->SeekHole(node.id, from, whence); });
  };
  EXPECT_EQ(seek(0, SEEK_DATA), 1 << 30);
  EXPECT_EQ(seek(0, SEEK_HOLE), 0);
  EXPECT_EQ(seek(1 << 30, SEEK_HOLE), (1 << 30) + 3);
  EXPECT_EQ(seek((1 << 30) + 3, SEEK_DATA), -ENXIO);
  EXPECT_EQ(Put("f", uint64_t{1} << 40, "x"), -EFBIG);
}

TEST_F(MemoryFsTest, WhatIsCutOffIsGone) {
  Start();
  ASSERT_EQ(MakeFile("f"), 0);
  for (const uint64_t cut : {100u, 65536u, 65537u, 130'000u}) {
    ASSERT_EQ(Put("f", 0, std::string(200'000, 'x')), 200'000);
    ASSERT_EQ(Resize("f", cut), 0);
    ASSERT_EQ(Resize("f", 200'000), 0);
    EXPECT_EQ(Get("f"), std::string(cut, 'x') + std::string(200'000 - cut, '\0')) << cut;
  }
  EXPECT_EQ(Resize("f", 0), 0);
  EXPECT_EQ(StatOf("f").blocks, 0);
  EXPECT_EQ(Resize("dev", 0), -EISDIR);
}

TEST_F(MemoryFsTest, FreshChunksShowNoOldContents) {
  Start();
  ASSERT_EQ(MakeFile("old"), 0);
  ASSERT_EQ(Put("old", 0, std::string(1 << 20, 's')), 1 << 20);
  ASSERT_EQ(Unlink("old"), 0);
  ASSERT_EQ(MakeFile("new"), 0);
  for (uint64_t at = 5; at < 1 << 20; at += 70'001) ASSERT_EQ(Put("new", at, "n"), 1);
  EXPECT_EQ(Get("new").find('s'), std::string::npos);
  EXPECT_EQ(With("new", kRoot, [&](Node n) { return fs_->Allocate(n.id, 0, 1 << 20, false); }), 0);
  EXPECT_EQ(Get("new").find('s'), std::string::npos);
  EXPECT_EQ(StatOf("new").size, 1 << 20);
}

// A copy from memory that is not there: the guest's fault leaves nothing of other files behind.
TEST_F(MemoryFsTest, AFaultWhileWritingLeavesZeros) {
  Start();
  ASSERT_EQ(MakeFile("old"), 0);
  ASSERT_EQ(Put("old", 0, std::string(60'000, 's')), 60'000);
  ASSERT_EQ(Unlink("old"), 0);
  ASSERT_EQ(MakeFile("new"), 0);
  SetCopyFunction([](void*, const void*, uint64_t) { return -EFAULT; });
  EXPECT_EQ(Put("new", 0, std::string(60'000, 'n')), -EFAULT);
  SetCopyFunction([](void* to, const void* from, uint64_t size) {
    memcpy(to, from, size);
    return 0;
  });
  ASSERT_EQ(Resize("new", 60'000), 0);
  EXPECT_EQ(Get("new"), std::string(60'000, '\0'));
}

TEST_F(MemoryFsTest, AnUnlinkedFileLivesUntilItsLastRelease) {
  Start();
  ASSERT_EQ(MakeFile("f"), 0);
  Node open;
  ASSERT_EQ(At("f", &open), 0);
  ASSERT_EQ(Unlink("f"), 0);
  EXPECT_EQ(At("f", &open), -ENOENT);
  uint64_t end = 0;
  EXPECT_EQ(fs_->Write(open.id, 0, "still", 5, &end), 5);
  Stat stat = {};
  EXPECT_EQ(fs_->GetStat(open.id, &stat), 0);
  EXPECT_EQ(stat.links, 0u);
  EXPECT_EQ(fs_->Link(kRoot, open.id, root_.id, "again"), -ENOENT);
  ExpectSound(1);
  fs_->Release(open.id);
}

TEST_F(MemoryFsTest, HardLinksCount) {
  Start();
  ASSERT_EQ(MakeFile("a"), 0);
  ASSERT_EQ(Link("a", "b"), 0);
  EXPECT_EQ(Link("a", "b"), -EEXIST);
  EXPECT_EQ(Link("dev", "c"), -EPERM);
  ASSERT_EQ(Put("b", 0, "shared"), 6);
  EXPECT_EQ(Get("a"), "shared");
  EXPECT_EQ(StatOf("a").links, 2u);
  EXPECT_EQ(StatOf("a").inode, StatOf("b").inode);
  EXPECT_EQ(Rename("a", "b"), 0) << "two names of one file: nothing happens";
  EXPECT_EQ(StatOf("a").links, 2u);
  EXPECT_EQ(Unlink("a"), 0);
  EXPECT_EQ(Get("b"), "shared");
}

TEST_F(MemoryFsTest, RenameReplacesOnlyLikeWithLike) {
  Start();
  ASSERT_EQ(MakeFile("file"), 0);
  ASSERT_EQ(MakeDirectory("dir"), 0);
  ASSERT_EQ(MakeDirectory("full"), 0);
  ASSERT_EQ(MakeFile("full/x"), 0);
  EXPECT_EQ(Rename("file", "dir"), -EISDIR);
  EXPECT_EQ(Rename("dir", "file"), -ENOTDIR);
  EXPECT_EQ(Rename("dir", "full"), -ENOTEMPTY);
  EXPECT_EQ(Rename("dir", "dir/below"), -EINVAL);
  EXPECT_EQ(Rename("full/x", "full"), -ENOTEMPTY);
  EXPECT_EQ(Rename("none", "x"), -ENOENT);
  EXPECT_EQ(Rename("file", "full/x", 1), -EEXIST);
  EXPECT_EQ(Rename("file", "none", 2), -ENOENT);
  EXPECT_EQ(Rename("dir", "full/x", 2), 0);
  EXPECT_EQ(StatOf("full").links, 3u);
  EXPECT_EQ(Rename("full", "full/x/y", 2), -ENOENT);
  ASSERT_EQ(MakeDirectory("full/x/y"), 0);
  EXPECT_EQ(Rename("full", "full/x/y", 2), -EINVAL);
  EXPECT_EQ(Rename("full/x/y", "full", 2), -EINVAL);
  ASSERT_EQ(RemoveDirectory("full/x/y"), 0);
  ASSERT_EQ(MakeDirectory("empty"), 0);
  EXPECT_EQ(Rename("full", "empty"), 0);
  EXPECT_EQ(NamesIn("empty"), std::vector<std::string>{"x"});
  EXPECT_EQ(StatOf("/").links, 4u) << "dev and empty";
}

TEST_F(MemoryFsTest, ADirectoryThatWasRemovedStillHasAParent) {
  Start();
  ASSERT_EQ(MakeDirectory("a"), 0);
  ASSERT_EQ(MakeDirectory("a/b"), 0);
  Node inner;
  ASSERT_EQ(At("a/b", &inner), 0);
  ASSERT_EQ(RemoveDirectory("a/b"), 0);
  ASSERT_EQ(RemoveDirectory("a"), 0);
  Node made;
  EXPECT_EQ(fs_->Create(kRoot, inner.id, "x", S_IFREG | 0644, 0, &made), -ENOENT);
  ExpectSound(2);
  Node up;
  ASSERT_EQ(Walk(mounts_, kRoot, root_, inner, "../..", kFollow, &up), 0);
  EXPECT_EQ(up, root_);
  fs_->Release(up.id);
  char path[100];
  EXPECT_EQ(PathOf(mounts_, root_, inner, path, sizeof path), -ENOENT);
  fs_->Release(inner.id);
}

TEST_F(MemoryFsTest, AChainOfRemovedDirectoriesIsFreedWithoutRecursion) {
  Start();
  constexpr int kDepth = 20'000;
  std::vector<Node> chain = {fs_->Root()};
  for (int i = 0; i < kDepth; ++i) {
    Node next;
    ASSERT_EQ(fs_->Create(kRoot, chain.back().id, "d", S_IFDIR | 0755, 0, &next), 0);
    chain.push_back(next);
  }
  const Node last = chain.back();
  chain.pop_back();
  for (; !chain.empty(); chain.pop_back()) {
    ASSERT_EQ(fs_->Remove(kRoot, chain.back().id, "d", FileSystem::Removal::kDirectory), 0);
    fs_->Release(chain.back().id);
  }
  ExpectSound(kDepth);
  fs_->Release(last.id);
}

TEST_F(MemoryFsTest, PermissionsAreThoseOfOneClass) {
  Start();
  const Credentials alice = User(1000);
  Credentials bob = User(1001);
  ASSERT_EQ(MakeDirectory("home"), 0);
  ASSERT_EQ(ChangeMode("home", 0777), 0);
  ASSERT_EQ(MakeFile("home/f", alice), 0);
  ASSERT_EQ(ChangeMode("home/f", 0460, alice), 0);
  const auto access = [&](const Credentials& who, uint32_t how) {
    return With("home/f", kRoot, [&](Node node) { return fs_->Access(who, node.id, how); });
  };
  EXPECT_EQ(access(alice, 4), 0);
  EXPECT_EQ(access(alice, 2), -EACCES) << "the owner is not helped by the group's rights";
  EXPECT_EQ(access(bob, 4), -EACCES);
  bob.groups[bob.group_count++] = 1000;
  EXPECT_EQ(access(bob, 6), 0);
  EXPECT_EQ(access(kRoot, 6), 0);
  EXPECT_EQ(access(kRoot, 1), -EACCES) << "nobody may execute it";
  EXPECT_EQ(ChangeMode("home/f", 0777, bob), -EPERM);
  Attributes owner;
  owner.fields = Attributes::kUid;
  owner.uid = 1001;
  EXPECT_EQ(Change("home/f", owner, alice), -EPERM);
  ASSERT_EQ(ChangeMode("home", 0711), 0);
  EXPECT_EQ(MakeFile("home/g", alice), -EACCES);
  EXPECT_EQ(Unlink("home/f", alice), -EACCES);
  ASSERT_EQ(ChangeMode("home", 0700), 0);
  Node out;
  EXPECT_EQ(At("home/f", &out, kFollow, alice), -EACCES);
}

TEST_F(MemoryFsTest, TimesAndIdBits) {
  Start();
  const Credentials alice = User(1000);
  ASSERT_EQ(MakeFile("f"), 0);
  ASSERT_EQ(ChangeMode("f", 06755), 0);
  Attributes now;
  now.fields = Attributes::kMtime | Attributes::kTimesNow;
  EXPECT_EQ(Change("f", now, alice), -EACCES);
  Attributes set;
  set.fields = Attributes::kMtime | Attributes::kAtime;
  set.mtime = {-5, 250};
  set.atime = {1'000'000'000, 999'999'999};
  EXPECT_EQ(Change("f", set, alice), -EPERM);
  EXPECT_EQ(Change("f", set), 0);
  EXPECT_EQ(StatOf("f").mtime.seconds, -5);
  EXPECT_EQ(StatOf("f").mtime.nanoseconds, 250u);
  EXPECT_EQ(StatOf("f").atime.nanoseconds, 999'999'999u);
  Attributes owner;
  owner.fields = Attributes::kUid;
  owner.uid = 1000;
  EXPECT_EQ(Change("f", owner), 0);
  EXPECT_EQ(StatOf("f").mode & 07777, 0755u);
  ASSERT_EQ(MakeDirectory("g"), 0);
  Attributes group;
  group.fields = Attributes::kGid | Attributes::kMode;
  group.gid = 50;
  group.mode = 02777;
  ASSERT_EQ(Change("g", group), 0);
  ASSERT_EQ(MakeDirectory("g/sub", alice), 0);
  EXPECT_EQ(StatOf("g/sub").gid, 50u);
  EXPECT_EQ(StatOf("g/sub").mode & 07777, 02755u);
}

TEST_F(MemoryFsTest, StickyDirectoriesProtectNames) {
  Start();
  ASSERT_EQ(MakeDirectory("tmp"), 0);
  ASSERT_EQ(ChangeMode("tmp", 01777), 0);
  const Credentials alice = User(1000);
  const Credentials bob = User(1001);
  ASSERT_EQ(MakeFile("tmp/a", alice), 0);
  ASSERT_EQ(MakeFile("tmp/b", bob), 0);
  EXPECT_EQ(Unlink("tmp/a", bob), -EPERM);
  EXPECT_EQ(Rename("tmp/a", "tmp/c", 0, bob), -EPERM);
  EXPECT_EQ(Rename("tmp/b", "tmp/a", 0, bob), -EPERM);
  EXPECT_EQ(Rename("tmp/b", "tmp/c", 0, bob), 0);
  EXPECT_EQ(Unlink("tmp/a", alice), 0);
}

TEST_F(MemoryFsTest, QuotasEndWithTheirErrors) {
  quotas_.max_files = 20;
  quotas_.max_bytes = 300'000;
  Start();
  ASSERT_EQ(MakeFile("f"), 0);
  const int64_t put = Put("f", 0, std::string(400'000, 'x'));
  EXPECT_EQ(put, 4 * 65536);
  EXPECT_EQ(Put("f", kAppend, std::string(65536, 'x')), -EDQUOT);
  EXPECT_EQ(limits_met_.load(), 1u << 3);
  EXPECT_EQ(StatOf("f").size, put);
  int made = 0;
  while (MakeFile("n" + std::to_string(made)) == 0) ++made;
  EXPECT_LT(made, 20);
  EXPECT_EQ(MakeFile("more"), -ENOSPC);
  EXPECT_EQ(MakeFile("f"), -EEXIST);
  EXPECT_EQ(limits_met_.load(), 1u << 3 | 1u << 2);
  FileSystemStat stat = {};
  fs_->StatFileSystem(&stat);
  EXPECT_EQ(stat.free_files, 0u);
  ASSERT_EQ(Unlink("f"), 0);
  EXPECT_EQ(MakeFile("more"), 0);
  EXPECT_EQ(Put("more", 0, "y"), 1);
}

TEST_F(MemoryFsTest, AListingIsStableWhileTheDirectoryChanges) {
  Start();
  ASSERT_EQ(MakeDirectory("d"), 0);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(MakeFile("d/keep" + std::to_string(i)), 0);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(MakeFile("d/drop" + std::to_string(i)), 0);
  Names seen;
  Node directory;
  ASSERT_EQ(At("d", &directory), 0);
  for (int round = 0; round < 100; ++round) {
    seen.limit = seen.names.size() + 37;
    ASSERT_EQ(List(directory, &seen), 0);
    for (int i = round * 10; i < round * 10 + 10; ++i) {
      ASSERT_EQ(Unlink("d/drop" + std::to_string(i)), 0);
      ASSERT_EQ(MakeFile("d/new" + std::to_string(i)), 0);
    }
  }
  seen.limit = SIZE_MAX;
  ASSERT_EQ(List(directory, &seen), 0);
  fs_->Release(directory.id);
  std::ranges::sort(seen.names);
  EXPECT_TRUE(std::ranges::adjacent_find(seen.names) == seen.names.end()) << "seen twice";
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(std::ranges::binary_search(seen.names, "keep" + std::to_string(i))) << i;
  }
}

TEST_F(MemoryFsTest, ALargeDirectoryIsQuick) {
  Start();
  ASSERT_EQ(MakeDirectory("d"), 0);
  Node directory;
  ASSERT_EQ(At("d", &directory), 0);
  for (int i = 0; i < 20'000; ++i) {
    Node made;
    ASSERT_EQ(fs_->Create(kRoot, directory.id, std::to_string(i), S_IFREG | 0644, 0, &made), 0);
    fs_->Release(made.id);
  }
  EXPECT_EQ(NamesIn("d").size(), 20'000u);
  for (int i = 0; i < 20'000; i += 2) {
    ASSERT_EQ(fs_->Remove(kRoot, directory.id, std::to_string(i), FileSystem::Removal::kFile), 0);
  }
  EXPECT_EQ(NamesIn("d").size(), 10'000u);
  fs_->Release(directory.id);
}

TEST_F(MemoryFsTest, DevicesAreThere) {
  Start();
  EXPECT_EQ(StatOf("dev/null").rdev, 1u << 8 | 3);
  EXPECT_TRUE(S_ISCHR(StatOf("dev/urandom").mode));
  EXPECT_EQ(StatOf("dev/shm").mode & 07777, 01777u);
  char target[20];
  EXPECT_EQ(With("dev/stdin", kRoot,
                 [&](Node node) { return fs_->ReadLink(node.id, target, sizeof target); }),
            15);
}

TEST_F(MemoryFsTest, SharedMemoryIsAFileSystemOfItsOwn) {
  Start();
  ASSERT_EQ(MakeFile("f"), 0);
  ASSERT_EQ(MakeDirectory("d"), 0);
  ASSERT_EQ(MakeDirectory("dev/shm/d"), 0);
  ASSERT_EQ(MakeFile("dev/shm/d/f"), 0);
  ASSERT_EQ(MakeLink("f", "dev/shm/d/l"), 0);
  const uint64_t device = StatOf("dev/shm").device;
  EXPECT_NE(device, StatOf("dev").device);
  for (const char* path : {"dev/shm/d", "dev/shm/d/f", "dev/shm/d/l"}) {
    EXPECT_EQ(StatOf(path).device, device) << path;
  }
  EXPECT_EQ(Rename("f", "dev/shm/f"), -EXDEV);
  EXPECT_EQ(Rename("dev/shm/d", "e"), -EXDEV);
  EXPECT_EQ(Rename("absent", "dev/shm/d/f"), -EXDEV);
  EXPECT_EQ(Rename("f", "dev/shm/d/f", 2), -EXDEV);
  EXPECT_EQ(Link("f", "dev/shm/f"), -EXDEV);
  EXPECT_EQ(Link("dev/shm/d/f", "g"), -EXDEV);
  EXPECT_EQ(Link("f", "dev/shm/d/f"), -EEXIST);
  EXPECT_EQ(Rename("dev/shm/d/f", "dev/shm/f"), 0);
  EXPECT_EQ(Link("dev/shm/f", "dev/shm/d/f"), 0);
  // What is mounted stays where it is.
  EXPECT_EQ(RemoveDirectory("dev/shm"), -EBUSY);
  EXPECT_EQ(Rename("dev/shm", "dev/other"), -EBUSY);
  EXPECT_EQ(Rename("d", "dev/shm"), -EBUSY);
  EXPECT_EQ(Rename("d", "dev/shm", 2), -EBUSY);
  // A block of names, as programs know it, and none in a tmpfs.
  EXPECT_EQ(StatOf("d").blocks, 8);
  EXPECT_EQ(StatOf("dev/shm/d").blocks, 0);
}

TEST_F(MemoryFsTest, AFileTakesAChunkOverThatWasFilledElsewhere) {
  Start();
  constexpr uint64_t kChunk = 65536;
  FileSystemStat before;
  ASSERT_EQ(fs_->StatFileSystem(&before), 0);
  std::byte* chunks[5];
  for (std::byte*& chunk : chunks) {
    chunk = fs_->NewLooseChunk();
    ASSERT_NE(chunk, nullptr);
    EXPECT_EQ(fs_->PlaceOf(chunk),
              static_cast<uint64_t>(chunk - reinterpret_cast<std::byte*>(layout::kBlocks)));
    // What an earlier file left there must not show.
    memset(chunk, 'o', kChunk);
  }
  ASSERT_EQ(MakeFile("f"), 0);
  bool taken = false;
  const auto take = [&](uint64_t offset, std::byte* chunk, char fill, uint64_t bytes) {
    memset(chunk, fill, bytes);
    return With("f", kRoot,
                [&](Node node) { return fs_->TakeOver(node.id, offset, chunk, bytes, &taken); });
  };
  EXPECT_EQ(take(0, chunks[0], 'a', kChunk), 65536);
  EXPECT_TRUE(taken);
  EXPECT_EQ(take(2 * kChunk, chunks[1], 'c', 1000), 1000);
  EXPECT_TRUE(taken);
  const std::string hole(kChunk, '\0');
  EXPECT_EQ(Get("f"), std::string(kChunk, 'a') + hole + std::string(1000, 'c'));
  ASSERT_EQ(Put("f", 3 * kChunk, "end"), 3);
  EXPECT_EQ(Get("f", 2 * kChunk), std::string(1000, 'c') + hole.substr(1000) + "end");
  // What is there stays there, and a small file does not get more than it needs.
  EXPECT_EQ(take(2 * kChunk, chunks[2], 'C', 500), 500);
  EXPECT_FALSE(taken);
  EXPECT_EQ(Get("f", 2 * kChunk, 1000), std::string(500, 'C') + std::string(500, 'c'));
  EXPECT_EQ(StatOf("f").blocks * 512, static_cast<int64_t>(3 * kChunk));
  ASSERT_EQ(Resize("f", 0), 0);
  EXPECT_EQ(take(0, chunks[2], 'd', 10), 10);
  EXPECT_FALSE(taken);
  EXPECT_EQ(Get("f"), "dddddddddd");
  EXPECT_EQ(take(100, chunks[2], 'd', 10), -EINVAL);
  EXPECT_EQ(take(kChunk, chunks[2], 'd', kChunk), 65536);
  EXPECT_TRUE(taken);
  EXPECT_EQ(Get("f"), std::string(10, 'd') + hole.substr(10) + std::string(kChunk, 'd'));
  fs_->FreeLooseChunk(chunks[3]);
  fs_->FreeLooseChunk(chunks[4]);
  ASSERT_EQ(Unlink("f"), 0);
  FileSystemStat after;
  ASSERT_EQ(fs_->StatFileSystem(&after), 0);
  EXPECT_EQ(after.free_bytes, before.free_bytes);
}

TEST_F(MemoryFsTest, AChunkThatIsTakenOverCounts) {
  quotas_.max_bytes = 3 * 65536;
  Start();
  ASSERT_EQ(MakeFile("f"), 0);
  std::byte* chunk = nullptr;
  for (uint64_t i = 0; i < 4; ++i) {
    chunk = fs_->NewLooseChunk();
    ASSERT_NE(chunk, nullptr);
    memset(chunk, 'x', 65536);
    bool taken = false;
    EXPECT_EQ(
        With("f", kRoot,
             [&](Node node) { return fs_->TakeOver(node.id, i * 65536, chunk, 65536, &taken); }),
        i < 3 ? 65536 : -EDQUOT);
    EXPECT_EQ(taken, i < 3);
  }
  fs_->FreeLooseChunk(chunk);
  EXPECT_EQ(StatOf("f").size, 3 * 65536);
}

// The blocks of a snapshot or fork cannot be written: a write to them would end this test.
TEST_F(MemoryFsTest, AnEarlierGenerationIsReadAndNeverWritten) {
  Start();
  std::string large(300'000, '\0');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7 + i / 1000);
  for (const char* name : {"large", "cut", "grown", "removed"}) {
    ASSERT_EQ(MakeFile(name), 0);
    ASSERT_EQ(Put(name, 0, large), 300'000);
  }
  ASSERT_EQ(MakeFile("small"), 0);
  ASSERT_EQ(Put("small", 0, "before"), 6);
  FileSystemStat before;
  ASSERT_EQ(fs_->StatFileSystem(&before), 0);
  std::byte* loose = fs_->NewLooseChunk();
  ASSERT_NE(loose, nullptr);
  memset(loose, 'l', 65536);

  ASSERT_EQ(mprotect(reinterpret_cast<void*>(layout::kBlocks), kTestBlocks, PROT_READ), 0);
  blocks_ = Map(kNextBlocks, kTestBlocks);
  ASSERT_NE(blocks_, nullptr);
  fs_->BeginGeneration(blocks_);

  EXPECT_EQ(Get("large"), large);
  ASSERT_EQ(Put("large", 100'000, "middle"), 6);
  ASSERT_EQ(Put("large", 10, "start"), 5);
  std::string wanted = large;
  wanted.replace(100'000, 6, "middle").replace(10, 5, "start");
  EXPECT_EQ(Get("large"), wanted);
  ASSERT_EQ(Resize("cut", 200'000), 0);
  ASSERT_EQ(Resize("cut", 250'000), 0);
  EXPECT_EQ(Get("cut"), large.substr(0, 200'000) + std::string(50'000, '\0'));
  ASSERT_EQ(Put("grown", 300'000, "end"), 3);
  EXPECT_EQ(Get("grown"), large + "end");
  ASSERT_EQ(Put("small", 6, " and after"), 10);
  EXPECT_EQ(Get("small"), "before and after");
  ASSERT_EQ(Resize("small", 3), 0);
  EXPECT_EQ(Get("small"), "bef");
  ASSERT_EQ(Unlink("removed"), 0);
  FileSystemStat after;
  ASSERT_EQ(fs_->StatFileSystem(&after), 0);
  // Of 300 000 bytes in chunks of 64 KiB: one file less, and one chunk that was cut off.
  EXPECT_EQ(after.free_bytes - before.free_bytes, 6u * 65536);

  // A chunk of it that no file has is read too, and left.
  ASSERT_EQ(MakeFile("late"), 0);
  bool taken = true;
  EXPECT_EQ(With("late", kRoot,
                 [&](Node node) { return fs_->TakeOver(node.id, 0, loose, 65536, &taken); }),
            65536);
  EXPECT_FALSE(taken);
  EXPECT_EQ(Get("late"), std::string(65536, 'l'));
  fs_->FreeLooseChunk(loose);
}

}  // namespace
}  // namespace cordon::vfs
