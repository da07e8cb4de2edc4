#include "live/host_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "live/file_server.h"

namespace cordon::live {
namespace {

namespace fs = std::filesystem;
using control::FileOp;
using Rights = HostDirectory::Rights;

class HostDirectoryTest : public testing::Test {
 protected:
  HostDirectoryTest() : data_(control::kFileCallBytes) {
    std::string name = (fs::temp_directory_path() / "cordon-mount-XXXXXX").string();
    world_ = mkdtemp(name.data());
    fs::create_directories(Root() / "sub");
    Put(Root() / "file", "inside");
    Put(world_ / "secret", "outside");
  }
  ~HostDirectoryTest() override { fs::remove_all(world_); }

  [[nodiscard]] fs::path Root() const { return world_ / "root"; }
  static void Put(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  static std::string Get(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  HostDirectory Open(Rights rights) {
    auto opened = HostDirectory::Open(Root().string(), rights);
    EXPECT_TRUE(opened) << opened.error().ToString();
    return std::move(*opened);
  }
  int64_t Ask(HostDirectory& directory, FileOp op, const std::string& path, uint64_t argument = 0,
              const std::string& second = {}) {
    return directory.Answer({op, path, second, 0, argument, 100}, data_.data()).result;
  }
  int64_t Write(HostDirectory& directory, const std::string& path, const std::string& text,
                uint64_t offset) {
    memcpy(data_.data(), text.data(), text.size());
    const auto count = static_cast<uint32_t>(text.size());
    return directory.Answer({FileOp::kWrite, path, {}, offset, 0, count}, data_.data()).result;
  }
  [[nodiscard]] std::string Data(int64_t size) const {
    return {reinterpret_cast<const char*>(data_.data()), static_cast<size_t>(size)};
  }

  fs::path world_;
  std::vector<uint8_t> data_;
};

TEST_F(HostDirectoryTest, PathsThatAreServed) {
  for (const char* path : {"", "a", "a/b", "..a", "a..", "...", "a b"})
    EXPECT_TRUE(IsServedPath(path));
  for (const char* path : {"/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "./a"}) {
    EXPECT_FALSE(IsServedPath(path)) << path;
  }
  EXPECT_FALSE(IsServedPath(std::string(256, 'a')));
  EXPECT_FALSE(IsServedPath(std::string_view("a\0b", 3)));
}

TEST_F(HostDirectoryTest, ReadsAndLists) {
  HostDirectory directory = Open(Rights::kRead);
  EXPECT_EQ(Ask(directory, FileOp::kRead, "file"), 6);
  EXPECT_EQ(Data(6), "inside");
  EXPECT_EQ(Ask(directory, FileOp::kStat, ""), 0);
  EXPECT_EQ(Ask(directory, FileOp::kRead, "sub"), -EISDIR);
  EXPECT_EQ(Ask(directory, FileOp::kRead, "none"), -ENOENT);
  EXPECT_EQ(Ask(directory, FileOp::kRead, "file/x"), -ENOTDIR);
  EXPECT_GT(Ask(directory, FileOp::kList, ""), 0);
  EXPECT_EQ(Ask(directory, FileOp::kList, "file"), -ENOTDIR);
}

TEST_F(HostDirectoryTest, ReadOnlyChangesNothing) {
  HostDirectory directory = Open(Rights::kRead);
  for (const FileOp op : {FileOp::kWrite, FileOp::kRemoveFile, FileOp::kTruncate, FileOp::kSetMode,
                          FileOp::kSetTimes, FileOp::kRemoveDirectory}) {
    EXPECT_EQ(Ask(directory, op, "file"), -EROFS);
  }
  EXPECT_EQ(Ask(directory, FileOp::kCreate, "new", S_IFREG | 0644), -EROFS);
  EXPECT_EQ(Ask(directory, FileOp::kSymlink, "new", 0, "x"), -EROFS);
  EXPECT_EQ(Ask(directory, FileOp::kRename, "file", 0, "new"), -EROFS);
  EXPECT_EQ(Get(Root() / "file"), "inside");
}

TEST_F(HostDirectoryTest, Changes) {
  HostDirectory directory = Open(Rights::kReadWrite);
  EXPECT_EQ(Ask(directory, FileOp::kCreate, "sub/new", S_IFREG | 06755), 0);
  EXPECT_EQ(Write(directory, "sub/new", "hello", 0), 5);
  EXPECT_EQ(Write(directory, "sub/new", " there", UINT64_MAX), 6);
  EXPECT_EQ(Get(Root() / "sub/new"), "hello there");
  EXPECT_EQ(Ask(directory, FileOp::kCreate, "sub/new", S_IFREG | 0644), -EEXIST);
  EXPECT_EQ(Ask(directory, FileOp::kSetMode, "sub/new", 04777), 0);
  struct stat stat = {};
  ASSERT_EQ(::stat((Root() / "sub/new").c_str(), &stat), 0);
  EXPECT_EQ(stat.st_mode & 07777, 0777U);  // never more than permissions
  EXPECT_EQ(Ask(directory, FileOp::kRename, "sub/new", 0, "moved"), 0);
  EXPECT_EQ(Ask(directory, FileOp::kRename, "moved", 1, "file"), -EEXIST);
  EXPECT_EQ(Ask(directory, FileOp::kRemoveDirectory, "sub"), 0);
  EXPECT_EQ(Ask(directory, FileOp::kRemoveFile, "moved"), 0);
  EXPECT_EQ(Ask(directory, FileOp::kRemoveDirectory, ""), -EBUSY);
  EXPECT_EQ(Ask(directory, FileOp::kCreate, "", S_IFDIR | 0755), -EEXIST);
  EXPECT_EQ(Ask(directory, FileOp::kCreate, "device", S_IFBLK | 0644), -EPERM);
}

// Whatever the path, what lies outside is neither read nor changed.
TEST_F(HostDirectoryTest, LinksLeadNowhere) {
  fs::create_symlink(world_ / "secret", Root() / "absolute");
  fs::create_symlink("../secret", Root() / "relative");
  fs::create_directory_symlink("..", Root() / "up");
  fs::create_directory_symlink(world_, Root() / "sub/out");
  fs::create_symlink("file", Root() / "within");
  fs::create_symlink("/proc/self/root", Root() / "magic");
  HostDirectory directory = Open(Rights::kReadWrite);
  for (const char* path : {"absolute", "relative", "within", "up/secret", "sub/out/secret",
                           "magic/etc/passwd", "up/root/file"}) {
    EXPECT_LT(Ask(directory, FileOp::kRead, path), 0) << path;
    EXPECT_LT(Write(directory, path, "changed", 0), 0) << path;
    EXPECT_LT(Ask(directory, FileOp::kTruncate, path), 0) << path;
    EXPECT_LT(Ask(directory, FileOp::kSetMode, path, 0777), 0) << path;
    EXPECT_LT(Ask(directory, FileOp::kSetTimes, path), 0) << path;
  }
  for (const char* path : {"up/new", "sub/out/new", "magic/tmp/cordon-new"}) {
    EXPECT_LT(Ask(directory, FileOp::kCreate, path, S_IFREG | 0644), 0) << path;
    EXPECT_LT(Ask(directory, FileOp::kCreate, path, S_IFDIR | 0755), 0) << path;
    EXPECT_LT(Ask(directory, FileOp::kSymlink, path, 0, "x"), 0) << path;
    EXPECT_LT(Ask(directory, FileOp::kRename, "file", 0, path), 0) << path;
    EXPECT_LT(Ask(directory, FileOp::kRemoveFile, path), 0) << path;
  }
  EXPECT_LT(Ask(directory, FileOp::kList, "up"), 0);
  EXPECT_LT(Ask(directory, FileOp::kRemoveFile, "up/secret"), 0);
  EXPECT_EQ(Ask(directory, FileOp::kReadLink, "relative"), 9);
  EXPECT_EQ(Data(9), "../secret");
  EXPECT_EQ(Get(world_ / "secret"), "outside");
  EXPECT_EQ(Get(Root() / "file"), "inside");
  EXPECT_FALSE(fs::exists(world_ / "new"));
}

TEST_F(HostDirectoryTest, NothingElseIsOpened) {
  ASSERT_EQ(mkfifo((Root() / "pipe").c_str(), 0666), 0);
  HostDirectory directory = Open(Rights::kReadWrite);
  EXPECT_EQ(Ask(directory, FileOp::kRead, "pipe"), -EACCES);
  EXPECT_EQ(Write(directory, "pipe", "x", 0), -EACCES);
  EXPECT_EQ(Ask(directory, FileOp::kStat, "pipe"), -EACCES);
  const int64_t size = Ask(directory, FileOp::kList, "");
  EXPECT_EQ(Data(size).find("pipe"), std::string::npos);
}

// A directory that is a link to the outside at every other moment.
TEST_F(HostDirectoryTest, LinksThatAreSwapped) {
  fs::create_directory(Root() / "swap");
  Put(Root() / "swap/secret", "harmless");
  fs::create_directory_symlink(world_, Root() / "other");
  std::atomic<bool> stops = false;
  std::thread swapper([&] {
    const std::string one = Root() / "swap";
    const std::string two = Root() / "other";
    while (!stops) (void)renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, two.c_str(), RENAME_EXCHANGE);
  });
  HostDirectory directory = Open(Rights::kReadWrite);
  int read = 0;
  for (int i = 0; i < 20'000; ++i) {
    const int64_t got = Ask(directory, FileOp::kRead, "swap/secret");
    if (got > 0) ++read;
    ASSERT_TRUE(got < 0 || Data(got) == "harmless") << Data(got);
    (void)Ask(directory, FileOp::kCreate, "swap/made", S_IFREG | 0644);
    (void)Write(directory, "swap/secret", "harmless", 0);
    (void)Ask(directory, FileOp::kRemoveFile, "swap/made");
  }
  stops = true;
  swapper.join();
  EXPECT_GT(read, 0);
  EXPECT_EQ(Get(world_ / "secret"), "outside");
  EXPECT_FALSE(fs::exists(world_ / "made"));
}

TEST(FileRequestTest, WhatMakesNoSenseIsRefused) {
  const auto call = std::make_unique<control::FileCall>();
  const auto set = [&](FileOp op, std::string_view path, std::string_view data) {
    call->op = static_cast<uint32_t>(op);
    call->path_bytes = static_cast<uint32_t>(path.size());
    memcpy(call->path, path.data(), path.size());
    call->count = static_cast<uint32_t>(data.size());
    memcpy(call->data, data.data(), data.size());
  };
  set(FileOp::kRename, "a", "b/c");
  ASSERT_TRUE(ReadFileRequest(*call));
  EXPECT_EQ(ReadFileRequest(*call)->second, "b/c");
  for (const char* path : {"../x", "/x", "a/../b", "."}) {
    set(FileOp::kRead, path, "");
    EXPECT_FALSE(ReadFileRequest(*call)) << path;
    set(FileOp::kRename, "a", path);
    EXPECT_FALSE(ReadFileRequest(*call)) << path;
  }
  set(FileOp::kSymlink, "a", std::string_view("x\0y", 3));
  EXPECT_FALSE(ReadFileRequest(*call));
  set(FileOp::kSymlink, "a", std::string(control::kMaxFilePath, 'x'));
  EXPECT_FALSE(ReadFileRequest(*call));
  set(FileOp::kRead, "a", "");
  call->path_bytes = control::kMaxFilePath + 1;
  EXPECT_FALSE(ReadFileRequest(*call));
  call->path_bytes = UINT32_MAX;
  EXPECT_FALSE(ReadFileRequest(*call));
  call->path_bytes = 1;
  call->count = control::kFileCallBytes + 1;
  EXPECT_FALSE(ReadFileRequest(*call));
  call->count = 0;
  call->op = 0xffff;
  EXPECT_TRUE(ReadFileRequest(*call));  // answered by ENOSYS
}

}  // namespace
}  // namespace cordon::live
