#include "base/new_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace cordon {
namespace {

class NewFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "cordon-new-file-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
    folder_.reset(open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(folder_.valid());
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  Result<NewFile> Make(const std::string& text) {
    Result<NewFile> file = NewFile::In(folder_.get());
    if (file && write(file->fd(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return SystemError("write");
    }
    return file;
  }
  [[nodiscard]] std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      names.push_back(entry.path().filename());
    }
    std::ranges::sort(names);
    return names;
  }
  [[nodiscard]] std::string TextOf(const std::string& name) const {
    std::ifstream file(path_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path path_;
  OwnedFd folder_;
};

TEST_F(NewFileTest, IsNotThereBeforeItHasItsName) {
  {
    Result<NewFile> file = Make("text");
    ASSERT_TRUE(file) << file.error().ToString();
    EXPECT_FALSE(std::filesystem::exists(path_ / "name"));
    ASSERT_TRUE(file->Name("name"));
  }
  EXPECT_EQ(Names(), std::vector<std::string>{"name"});
  EXPECT_EQ(TextOf("name"), "text");
  EXPECT_EQ(std::filesystem::status(path_ / "name").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(NewFileTest, LeavesNothingWithoutOne) {
  {
    const Result<NewFile> file = Make("text");
    ASSERT_TRUE(file);
  }
  EXPECT_EQ(Names(), std::vector<std::string>{});
}

TEST_F(NewFileTest, ReplacesOnlyWhereThatIsMeant) {
  Result<NewFile> first = Make("first");
  ASSERT_TRUE(first && first->Name("name"));
  Result<NewFile> second = Make("second");
  ASSERT_TRUE(second);
  const Status named = second->Name("name");
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().system_errno, EEXIST);
  EXPECT_EQ(TextOf("name"), "first");
  // What somebody left who was killed in the middle.
  std::ofstream(path_ / ".name.new") << "left";
  ASSERT_TRUE(second->Replace("name"));
  EXPECT_EQ(TextOf("name"), "second");
  EXPECT_EQ(Names(), std::vector<std::string>{"name"});
}

TEST_F(NewFileTest, ReplacesWhatIsThere) {
  const std::string path = (path_ / "name").string();
  ASSERT_TRUE(ReplaceFile(path, "old", 0600));
  ASSERT_TRUE(ReplaceFile(path, "new", 0755));
  EXPECT_EQ(TextOf("name"), "new");
  EXPECT_EQ(Names(), std::vector<std::string>{"name"});
  struct stat stat = {};
  ASSERT_EQ(lstat(path.c_str(), &stat), 0);
  EXPECT_EQ(stat.st_mode & 07777, 0755);
  EXPECT_FALSE(ReplaceFile((path_ / "missing/name").string(), "new", 0600));
}

}  // namespace
}  // namespace cordon
