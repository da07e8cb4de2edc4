#include "backend/native/hand_over.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "backend/native/mount_calls.h"
#include "backend/native/output.h"
#include "backend/native/program.h"
#include "backend/native/work_folder.h"

namespace cordon::backend::native {
namespace {

namespace fs = std::filesystem;

class Folder : public testing::Test {
 protected:
  Folder() {
    char name[] = "/tmp/cordon-native-XXXXXX";
    root_ = mkdtemp(name);
    fs::create_directories(root_ / "staged/0");
    fs::create_directories(root_ / "work/sub");
    staged_.reset(open((root_ / "staged").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    policy::Mount mount;
    mount.beneath = root_ / "work";
    mount.source = mount.target = root_ / "work/sub/new.lock";
    mount.if_missing = policy::IfMissing::kStageFile;
    plan_.mounts = {mount};
  }
  ~Folder() override { fs::remove_all(root_); }
  std::string Text(const std::string& path) {
    std::ifstream file(root_ / path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Write(const std::string& path, const std::string& text) {
    std::ofstream(root_ / path) << text;
  }

  fs::path root_;
  OwnedFd staged_;
  policy::Plan plan_;
};

TEST_F(Folder, AFileIsTakenOverWholeAndAlone) {
  Write("staged/0/new.lock", std::string(100'000, 'x'));
  Write("staged/0/other", "x");
  EXPECT_TRUE(TakeStagedFiles(plan_, staged_.get()).empty());
  EXPECT_EQ(Text("work/sub/new.lock").size(), 100'000U);
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ / "work/sub"), {}), 1);
}

TEST_F(Folder, NothingThatIsThereIsReplaced) {
  Write("staged/0/new.lock", "new");
  Write("work/sub/new.lock", "old");
  EXPECT_EQ(TakeStagedFiles(plan_, staged_.get()).size(), 1U);
  EXPECT_EQ(Text("work/sub/new.lock"), "old");
}

TEST_F(Folder, LinksAndFoldersAreNotTakenOver) {
  Write("secret", "secret");
  fs::create_symlink(root_ / "secret", root_ / "staged/0/new.lock");
  EXPECT_EQ(TakeStagedFiles(plan_, staged_.get()).size(), 1U);
  fs::remove(root_ / "staged/0/new.lock");
  fs::create_directory(root_ / "staged/0/new.lock");
  EXPECT_EQ(TakeStagedFiles(plan_, staged_.get()).size(), 1U);
  fs::remove(root_ / "staged/0/new.lock");
  EXPECT_EQ(mkfifo((root_ / "staged/0/new.lock").c_str(), 0600), 0);
  EXPECT_EQ(TakeStagedFiles(plan_, staged_.get()).size(), 1U);
  EXPECT_FALSE(fs::exists(root_ / "work/sub/new.lock"));
}

TEST_F(Folder, NoLinkOfTheWorkspaceIsFollowed) {
  Write("staged/0/new.lock", "new");
  fs::create_directory(root_ / "elsewhere");
  fs::remove(root_ / "work/sub");
  fs::create_symlink(root_ / "elsewhere", root_ / "work/sub");
  EXPECT_EQ(TakeStagedFiles(plan_, staged_.get()).size(), 1U);
  EXPECT_TRUE(fs::is_empty(root_ / "elsewhere"));
}

TEST_F(Folder, DescriptorsArriveInOrderAndNothingWaits) {
  Result<HandOver> ends = HandOver::Make();
  ASSERT_TRUE(ends);
  EXPECT_FALSE(Receive(ends->keeper.get()));
  ASSERT_TRUE(Send(ends->init.get(), Handed::kStagedFolder, staged_.get()));
  ASSERT_TRUE(Send(ends->init.get(), Handed::kTerminal, staged_.get()));
  EXPECT_EQ(Receive(ends->keeper.get())->what, Handed::kStagedFolder);
  EXPECT_EQ(Receive(ends->keeper.get())->what, Handed::kTerminal);
  ends->init.reset();
  EXPECT_FALSE(Receive(ends->keeper.get()));
}

TEST_F(Folder, DirectoriesAreMadeBeneathAndNoLinkIsFollowed) {
  const OwnedFd work(open((root_ / "work").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_TRUE(MakeDirectories(work.get(), "a/b/c", 0755));
  EXPECT_TRUE(fs::is_directory(root_ / "work/a/b/c"));
  fs::create_directory_symlink(root_ / "staged", root_ / "work/link");
  EXPECT_FALSE(MakeDirectories(work.get(), "link/x", 0755));
  EXPECT_FALSE(OpenBeneath(work.get(), "../staged", O_PATH).valid());
  EXPECT_FALSE(OpenBeneath(work.get(), "link/0", O_PATH).valid());
  EXPECT_TRUE(OpenBeneath(work.get(), "", O_PATH).valid());
}

TEST_F(Folder, AWorkFolderIsOnTheSameMountAndGoes) {
  std::string path;
  {
    const Result<WorkFolder> made = WorkFolder::Make(root_ / "work", {"/proc", root_.string()});
    ASSERT_TRUE(made);
    path = made->path();
    EXPECT_TRUE(path.starts_with(root_.string()));
    fs::create_directories(path + "/0/work/work");
    ASSERT_EQ(chmod((path + "/0/work").c_str(), 0), 0);
  }
  EXPECT_FALSE(fs::exists(path));
  // Not in what it works for.
  EXPECT_FALSE(WorkFolder::Make(root_, {"/proc", (root_ / "work").string()}));
}

TEST_F(Folder, OutputEndsAtItsLimit) {
  const OwnedFd to(open((root_ / "out").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  Result<OutputPipe> pipe = OutputPipe::Make(to.get(), 5);
  ASSERT_TRUE(pipe);
  ASSERT_EQ(write(pipe->writer(), "12345678", 8), 8);
  while (pipe->is_open()) pipe->Move();
  EXPECT_EQ(Text("out"), "12345");
  EXPECT_TRUE(pipe->is_over());
}

TEST_F(Folder, OutputEndsWithItsWriters) {
  const OwnedFd to(open((root_ / "out").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  Result<OutputPipe> pipe = OutputPipe::Make(to.get(), 100);
  ASSERT_TRUE(pipe);
  ASSERT_EQ(write(pipe->writer(), "123", 3), 3);
  pipe->CloseWriter();
  while (pipe->is_open()) pipe->Move();
  EXPECT_EQ(Text("out"), "123");
  EXPECT_FALSE(pipe->is_over());
}

TEST_F(Folder, ProgramsAreFoundAsAShellDoes) {
  fs::create_directories(root_ / "a");
  fs::create_directories(root_ / "b");
  Write("a/tool", "");
  Write("b/tool", "");
  fs::permissions(root_ / "b/tool", fs::perms::owner_all);
  const std::string search = "relative::" + (root_ / "a").string() + ":" + (root_ / "b").string();
  EXPECT_EQ(FindIn(search, "tool"), (root_ / "b/tool").string());
  EXPECT_EQ(FindIn(search, "none"), "");
  EXPECT_EQ(FindIn(search, "./tool"), "./tool");
  EXPECT_EQ(FindIn("", "tool"), "");
}

}  // namespace
}  // namespace cordon::backend::native
