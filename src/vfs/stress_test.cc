// Many processes at once on one file system, and one random sequence of calls beside the host's own
// file system.

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <random>

#include "arena/platform.h"
#include "vfs/test_tree.h"

namespace cordon::vfs {
namespace {

class StressTest : public TestTree {
 protected:
  // Runs `work` in so many processes at once; all must succeed.
  void InProcesses(int count, const std::function<bool(int)>& work) {
    std::vector<pid_t> children;
    for (int i = 0; i < count; ++i) {
      const pid_t pid = fork();
      ASSERT_GE(pid, 0);
      if (pid == 0) {
        SetCurrentSlot(static_cast<uint32_t>(i) + 1);
        _exit(work(i) ? 0 : 1);
      }
      children.push_back(pid);
    }
    for (const pid_t pid : children) {
      int status = -1;
      ASSERT_EQ(waitpid(pid, &status, 0), pid);
      EXPECT_EQ(status, 0);
    }
  }

  // One random call on a small set of names, so that processes meet; what may fail, may.
  void Disturb(std::mt19937& random) {
    const auto directory = [&] { return "d" + std::to_string(random() % 4); };
    const auto path = [&] {
      const std::string base = directory();
      return random() % 3 == 0 ? base + "/" + directory() + "/f" + std::to_string(random() % 6)
                               : base + "/f" + std::to_string(random() % 6);
    };
    const auto below = [&] { return directory() + "/" + directory(); };
    switch (random() % 14) {
      case 0:
      case 1:
      case 2:
        MakeFile(path());
        return;
      case 3:
      case 4:
        Unlink(path());
        return;
      case 5:
        MakeDirectory(below());
        return;
      case 6:
        RemoveDirectory(below());
        return;
      case 7:
      case 8:
        Rename(path(), path(), static_cast<uint32_t>(random() % 3));
        return;
      case 9:
        Rename(below(), random() % 2 == 0 ? below() : directory(),
               static_cast<uint32_t>(random() % 3));
        return;
      case 10:
        Link(path(), path());
        return;
      case 11:
        MakeLink("../" + path(), path());
        return;
      case 12:
        Put(path(), random() % 2 == 0 ? kAppend : random() % 200'000,
            std::string(random() % 5000, 'x'));
        return;
      default:
        Resize(path(), random() % 100'000);
    }
  }
};

TEST_F(StressTest, EightProcessesLeaveASoundTree) {
  Start();
  for (int i = 0; i < 4; ++i) ASSERT_EQ(MakeDirectory("d" + std::to_string(i)), 0);
  const uint64_t end = platform::ClockNs(1) + 2'000'000'000;
  InProcesses(8, [&](int who) {
    std::mt19937 random(static_cast<uint32_t>(who));
    while (platform::ClockNs(1) < end) {
      for (int i = 0; i < 100; ++i) Disturb(random);
    }
    return true;
  });
  ExpectSound();
  EXPECT_GT(fs_->inodes_in_memory(), 16u);
}

TEST_F(StressTest, AppendsOfManyProcessesNeverMix) {
  Start();
  ASSERT_EQ(MakeFile("log"), 0);
  constexpr size_t kLine = 97;
  constexpr int kLines = 2000;
  InProcesses(4, [&](int who) {
    const std::string line(kLine, static_cast<char>('a' + who));
    for (int i = 0; i < kLines; ++i) {
      if (Put("log", kAppend, line) != static_cast<int64_t>(kLine)) return false;
    }
    // Longer than a piece.
    const std::string long_line(kLine * 30'000, static_cast<char>('A' + who));
    return Put("log", kAppend, long_line) == static_cast<int64_t>(long_line.size());
  });
  const std::string log = Get("log");
  ASSERT_EQ(log.size(), kLine * (kLines + 30'000) * 4);
  std::array<int, 256> runs = {};
  for (size_t at = 0; at < log.size();) {
    const char who = log[at];
    const size_t size = who >= 'a' ? kLine : kLine * 30'000;
    ASSERT_EQ(log.find_first_not_of(who, at) >= at + size, true) << at;
    ++runs[static_cast<uint8_t>(who)];
    at += size;
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(runs[static_cast<size_t>('a' + i)], kLines);
    EXPECT_EQ(runs[static_cast<size_t>('A' + i)], 1);
  }
}

// Directories swap places while others walk through them: a walk ends with an answer, and a
// directory never contains itself.
TEST_F(StressTest, WalksThroughDirectoriesThatMove) {
  Start();
  for (const char* path : {"a", "a/b", "a/b/c", "x", "x/y"}) ASSERT_EQ(MakeDirectory(path), 0);
  ASSERT_EQ(MakeFile("a/b/c/f"), 0);
  InProcesses(4, [&](int who) {
    std::mt19937 random(static_cast<uint32_t>(who));
    const std::array<const char*, 6> places = {"a/b", "x/y/b", "x/b", "b", "a/b/c/b", "x/y"};
    for (int i = 0; i < 20'000; ++i) {
      if (who < 2) {
        Rename(places[random() % places.size()], places[random() % places.size()],
               static_cast<uint32_t>(random() % 3));
        continue;
      }
      Node node;
      const int error = At("a/b/c/../../../x/../a/b/c", &node);
      if (error != 0 && error != -ENOENT) return false;
      char path[kMaxPath];
      if (error != 0) continue;
      const int64_t size = PathOf(mounts_, root_, node, path, sizeof path);
      if (size < 0 && size != -ENOENT) return false;
      fs_->Release(node.id);
    }
    return true;
  });
}

// The same random calls here and on the host: the same results, and the same tree.
class DifferentialTest : public StressTest {
 protected:
  void SetUp() override {
    char name[] = "/tmp/vfs_differential.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    host_ = open(name, O_DIRECTORY | O_PATH | O_CLOEXEC);
    folder_ = name;
    umask(0);
    Start();
    ASSERT_EQ(MakeDirectory("t"), 0);
    Node top;
    ASSERT_EQ(At("t", &top), 0);
    root_ = top;
  }
  void TearDown() override {
    fs_->Release(root_.id);
    root_ = fs_->Root();
    TestTree::TearDown();
    close(host_);
    std::filesystem::remove_all(folder_);
  }

  static int64_t Result(int64_t value) { return value < 0 ? -errno : value; }

  // Paths that `..` does not lead out of, since the host's tree is only a part of its own.
  std::string RandomPath(std::mt19937& random) {
    static constexpr std::array<const char*, 6> kNames = {"a", "b", "c", "dd", "e", "link"};
    std::string path = kNames[random() % kNames.size()];
    for (uint32_t depth = random() % 3; depth > 0; --depth) {
      path += random() % 9 == 0 ? "/." : "";
      path += std::string("/") + kNames[random() % kNames.size()];
    }
    return random() % 15 == 0 ? path + "/" : path;
  }

  // The kernel's own rules for a last component, which are above the file system.
  int Name(const std::string& path, const std::function<int(Node, const LastName&)>& use) {
    return InParent(path, kRoot, [&](Node directory, const LastName& name) {
      return name.is_dots() ? -EINVAL : use(directory, name);
    });
  }

  struct Pair {
    int64_t host, own;
  };

  Pair WriteBoth(std::mt19937& random, const std::string& path) {
    const std::string bytes(random() % 4000, static_cast<char>('a' + random() % 26));
    const uint64_t offset = random() % 3 == 0 ? kAppend : random() % 100'000;
    const int fd =
        openat(host_, path.c_str(), O_WRONLY | O_NOFOLLOW | (offset == kAppend ? O_APPEND : 0));
    if (fd < 0) return {0, 0};
    struct stat stat = {};
    fstat(fd, &stat);
    const ssize_t put = offset == kAppend
                            ? write(fd, bytes.data(), bytes.size())
                            : pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    close(fd);
    return {Result(put), Put(path, offset, bytes)};
  }

  Pair RenameBoth(std::mt19937& random, const std::string& from, const std::string& to) {
    if (from.back() == '/' || to.back() == '/') return {0, 0};
    const auto flags = static_cast<uint32_t>(random() % 3);
    return {Result(renameat2(host_, from.c_str(), host_, to.c_str(), flags)),
            Rename(from, to, flags)};
  }

  Pair Step(std::mt19937& random) {
    const std::string path = RandomPath(random);
    const std::string other = RandomPath(random);
    const bool slash = path.back() == '/' || other.back() == '/';
    switch (random() % 10) {
      case 0: {
        if (slash) return {0, 0};
        const int fd = openat(host_, path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
        const int64_t host = Result(fd);
        if (fd >= 0) close(fd);
        return {std::min<int64_t>(host, 0), MakeFile(path)};
      }
      case 1:
        return {Result(mkdirat(host_, path.c_str(), 0755)), MakeDirectory(path)};
      case 2:
        if (slash) return {0, 0};
        return {Result(unlinkat(host_, path.c_str(), 0)), Unlink(path)};
      case 3:
        return {Result(unlinkat(host_, path.c_str(), AT_REMOVEDIR)), RemoveDirectory(path)};
      case 4:
      case 5:
        return RenameBoth(random, path, other);
      case 6:
        if (slash) return {0, 0};
        return {Result(linkat(host_, path.c_str(), host_, other.c_str(), 0)), Link(path, other)};
      case 7: {
        if (slash || other[0] == '.') return {0, 0};
        return {Result(symlinkat(other.c_str(), host_, path.c_str())), MakeLink(other, path)};
      }
      case 8:
        return WriteBoth(random, path);
      default: {
        struct stat host = {};
        const int64_t result = Result(fstatat(host_, path.c_str(), &host, AT_SYMLINK_NOFOLLOW));
        Stat own = {};
        const int64_t ours =
            With(path, kRoot, [&](Node node) { return fs_->GetStat(node.id, &own); });
        if (result == 0 && ours == 0) CompareStat(path, host, own);
        return {result, ours};
      }
    }
  }

  static void CompareStat(const std::string& path, const struct stat& host, const Stat& own) {
    EXPECT_EQ(own.mode, host.st_mode) << path;
    if (S_ISDIR(host.st_mode)) return;  // some file systems do not count subdirectories
    EXPECT_EQ(own.links, host.st_nlink) << path;
    EXPECT_EQ(own.size, host.st_size) << path;
  }

  void CompareTree(const std::string& path) {
    std::vector<std::string> host;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/" + path))
      host.push_back(entry.path().filename().string());
    std::vector<std::string> own = NamesIn(path.empty() ? "." : path);
    std::ranges::sort(host);
    std::ranges::sort(own);
    ASSERT_EQ(own, host) << path;
    for (const std::string& name : own) {
      const std::string child = (std::filesystem::path(path) / name).string();
      const Stat stat = StatOf(child);
      if (S_ISDIR(stat.mode)) CompareTree(child);
      if (!S_ISREG(stat.mode)) continue;
      std::string bytes(static_cast<size_t>(stat.size), 0);
      const int fd = openat(host_, child.c_str(), O_RDONLY);
      EXPECT_EQ(read(fd, bytes.data(), bytes.size()), stat.size) << child;
      close(fd);
      EXPECT_EQ(Get(child) == bytes, true) << child;
    }
  }

  int host_ = -1;
  std::string folder_;
};

TEST_F(DifferentialTest, TheHostSaysTheSame) {
  std::map<int64_t, int> seen;
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 10'000; ++i) {
      const std::mt19937 before = random;
      const Pair pair = Step(random);
      ++seen[pair.host];
      std::mt19937 again = before;
      ASSERT_EQ(pair.own, pair.host) << "seed " << seed << " step " << i << " " << RandomPath(again)
                                     << " " << RandomPath(again) << " call " << again() % 10;
    }
    CompareTree("");
    ExpectSound();
  }
  for (const int error : {ENOENT, EEXIST, ENOTDIR, ENOTEMPTY, EISDIR, EINVAL, ELOOP})
    EXPECT_GT(seen[-error], 0) << strerror(error) << " was never the answer";
}

}  // namespace
}  // namespace cordon::vfs
