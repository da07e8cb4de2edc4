#include "shadow/commit.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "shadow/test_world.h"

namespace cordon::shadow {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

TEST(Shadow, ChangesAreFoundAndCommitted) {
  World world;
  World::Write(world.Real("keep"), "keep");
  World::Write(world.Real("edit"), "before\n");
  World::Write(world.Real("gone"), "gone\n");
  World::Write(world.Real("old-name"), "the same contents\n");
  World::Write(world.Real("run"), "#!/bin/sh\n", 0644);
  World::Write(world.Real("tree/deep/x"), "x");
  fs::create_symlink("keep", world.Real("link"));
  world.Make();
  World::Write(world.Inside("edit"), "after\n");
  fs::remove(world.Inside("gone"));
  fs::rename(world.Inside("old-name"), world.Inside("new-name"));
  SetMode(world.Inside("run"), 0755);
  fs::remove_all(world.Inside("tree"));
  fs::remove(world.Inside("link"));
  fs::create_symlink("edit", world.Inside("link"));
  World::Write(world.Inside("new/dir/file"), "new", 0640);
  EXPECT_EQ(world.Changes(),
            Lines({"modify edit", "delete gone", "modify link", "add new",
                   "rename old-name new-name", "add new/dir", "add new/dir/file", "modify run",
                   "delete tree", "delete tree/deep", "delete tree/deep/x"}));
  EXPECT_EQ(World::Text(world.Real("edit")), "before\n");
  EXPECT_EQ(world.TryCommit(), "");
  EXPECT_EQ(World::Picture(world.workspace()),
            World::Picture(world.Inside("").substr(0, world.Inside("").size() - 1)));
  EXPECT_EQ(world.Changes(), Lines());
}

TEST(Shadow, WritesThatLookTheSameAreFound) {
  World world;
  World::Write(world.Real("a"), "1234");
  world.Make();
  struct stat before = {};
  ASSERT_EQ(stat(world.Inside("a").c_str(), &before), 0);
  World::Write(world.Inside("a"), "4321");
  const timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, world.Inside("a").c_str(), times, 0), 0);
  EXPECT_EQ(world.Changes(), Lines({"modify a"}));
}

TEST(Shadow, TypesThatChangeAreCommitted) {
  World world;
  World::Write(world.Real("file-to-dir"), "f");
  World::Write(world.Real("dir-to-file/x/y"), "y");
  World::Write(world.Real("file-to-link"), "f");
  fs::create_symlink("nowhere", world.Real("link-to-dir"));
  world.Make();
  fs::remove(world.Inside("file-to-dir"));
  World::Write(world.Inside("file-to-dir/in/it"), "it");
  fs::remove_all(world.Inside("dir-to-file"));
  World::Write(world.Inside("dir-to-file"), "now a file");
  fs::remove(world.Inside("file-to-link"));
  fs::create_symlink("dir-to-file", world.Inside("file-to-link"));
  fs::remove(world.Inside("link-to-dir"));
  World::Write(world.Inside("link-to-dir/z"), "z");
  EXPECT_EQ(world.TryCommit(), "");
  EXPECT_EQ(World::Text(world.Real("file-to-dir/in/it")), "it");
  EXPECT_EQ(World::Text(world.Real("dir-to-file")), "now a file");
  EXPECT_TRUE(fs::is_symlink(world.Real("file-to-link")));
  EXPECT_EQ(World::Text(world.Real("link-to-dir/z")), "z");
  EXPECT_EQ(world.Changes(), Lines());
}

TEST(Shadow, NamedPathsAloneWithTheirDirectories) {
  World world;
  World::Write(world.Real("a"), "a");
  world.Make();
  World::Write(world.Inside("a"), "A");
  World::Write(world.Inside("d/e/one"), "1");
  World::Write(world.Inside("d/two"), "2");
  CommitRequest request;
  request.paths = {"d/e/one"};
  EXPECT_EQ(world.TryCommit(request), "");
  EXPECT_EQ(World::Text(world.Real("d/e/one")), "1");
  EXPECT_FALSE(fs::exists(world.Real("d/two")));
  EXPECT_EQ(World::Text(world.Real("a")), "a");
  EXPECT_EQ(world.Changes(), Lines({"modify a", "add d/two"}));
  request.paths = {"nothing/here"};
  EXPECT_NE(world.TryCommit(request).find("nothing has changed there"), std::string::npos);
}

TEST(Conflict, AChangeOfTheRealTreeIsNotLost) {
  World world;
  for (const char* name : {"edited", "deleted", "touched", "mode", "both-same"})
    World::Write(world.Real(name), std::string(name) + "\n");
  world.Make();
  for (const char* name : {"edited", "deleted", "touched", "mode", "both-same"})
    World::Write(world.Inside(name), "shadow\n");
  World::Write(world.Inside("made"), "shadow\n");
  World::Write(world.Real("edited"), "user\n");
  fs::remove(world.Real("deleted"));
  SetMode(world.Real("mode"), 0600);
  World::Write(world.Real("both-same"), "shadow\n");
  World::Write(world.Real("made"), "user\n");
  ASSERT_EQ(utimensat(AT_FDCWD, world.Real("touched").c_str(), nullptr, 0), 0);
  const auto before = World::Picture(world.workspace());
  const std::string conflicts = world.TryCommit();
  EXPECT_NE(conflicts.find("edited: has changed in the workspace since"), std::string::npos);
  EXPECT_NE(conflicts.find("deleted: is not in the workspace any more"), std::string::npos);
  EXPECT_NE(conflicts.find("mode: has changed"), std::string::npos);
  EXPECT_NE(conflicts.find("made: has been made in the workspace meanwhile"), std::string::npos);
  EXPECT_EQ(conflicts.find("both-same"), std::string::npos);
  EXPECT_EQ(World::Picture(world.workspace()), before);
  CommitRequest request;
  request.force = {"edited", "deleted", "made", "mode", "touched"};
  EXPECT_EQ(world.TryCommit(request), "");
  for (const char* name : {"edited", "deleted", "touched", "mode", "both-same", "made"})
    EXPECT_EQ(World::Text(world.Real(name)), "shadow\n") << name;
}

TEST(Conflict, NothingUnknownGoesWithADirectory) {
  World world;
  World::Write(world.Real("d/known"), "k");
  World::Write(world.Real("d/secret.pem"), "s");
  CreateRequest request;
  request.ignore = {"*.pem"};
  world.Make(request);
  EXPECT_FALSE(fs::exists(world.Inside("d/secret.pem")));
  fs::remove_all(world.Inside("d"));
  EXPECT_EQ(world.TryCommit(), "d: has something that would be lost: d/secret.pem\n");
  CommitRequest forced;
  forced.force = {"d"};
  EXPECT_NE(world.TryCommit(forced), "");
  EXPECT_EQ(World::Text(world.Real("d/known")), "k");
}

TEST(Conflict, WhatWasNotImportedIsNotOverwritten) {
  World world;
  World::Write(world.Real("secret.pem"), "s");
  CreateRequest request;
  request.ignore = {"*.pem"};
  world.Make(request);
  World::Write(world.Inside("secret.pem"), "made by the command");
  EXPECT_EQ(world.Changes(), Lines({"add secret.pem"}));
  EXPECT_EQ(world.TryCommit(), "secret.pem: is in the workspace and was not imported\n");
  EXPECT_EQ(World::Text(world.Real("secret.pem")), "s");
}

TEST(Refusal, NothingIsCommittedUntilItIsNamed) {
  World world;
  World::Write(world.Real("a"), "a");
  world.Make();
  World::Write(world.Inside("a"), "A");
  World::Write(world.Inside(".git/hooks/pre-commit"), "evil", 0755);
  EXPECT_NE(world.TryCommit().find(".git/hooks/pre-commit: is protected"), std::string::npos);
  EXPECT_EQ(World::Text(world.Real("a")), "a");
  CommitRequest request;
  request.skips_refused = true;
  EXPECT_EQ(world.TryCommit(request), "");
  EXPECT_EQ(World::Text(world.Real("a")), "A");
  EXPECT_FALSE(fs::exists(world.Real(".git/hooks/pre-commit")));
  request.skips_refused = false;
  request.paths = {".git"};
  EXPECT_NE(world.TryCommit(request), "");
  request.paths = {".git/hooks"};
  EXPECT_EQ(world.TryCommit(request), "");
  EXPECT_EQ(World::Text(world.Real(".git/hooks/pre-commit")), "evil");
}

TEST(Refusal, SpecialFilesAndSetIds) {
  World world;
  world.Make();
  ASSERT_EQ(mkfifo(world.Inside("fifo").c_str(), 0600), 0);
  World::Write(world.Inside("setuid"), "x", 04755);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_EQ(chdir(world.Inside("").c_str()), 0);
  memcpy(address.sun_path, "socket", sizeof "socket");
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(fd);
  ASSERT_EQ(chdir("/"), 0);
  EXPECT_EQ(world.TryCommit(),
            "fifo: is a FIFO\nsetuid: would run with another's rights (set-user-id or "
            "set-group-id)\nsocket: is a socket\n");
  EXPECT_TRUE(fs::is_empty(world.workspace()));
}

TEST(Refusal, HolesAreNotReadForEver) {
  World world;
  world.Make();
  World::Write(world.Inside("a"), "");
  World::Write(world.Inside("b"), "b");
  fs::resize_file(world.Inside("a"), uint64_t{1} << 43);
  EXPECT_EQ(world.Changes(), (std::vector<std::string>{"add a", "add b"}));
  EXPECT_EQ(world.TryCommit(),
            "a: cannot be looked at: not read: more than 8 GiB of new files are holes\n");
}

TEST(Commit, HolesStayHoles) {
  World world;
  World::Write(world.Real("old"), "");
  fs::resize_file(world.Real("old"), 64 << 20);
  world.Make();
  World::Write(world.Inside("new"), "data");
  fs::resize_file(world.Inside("new"), 64 << 20);
  fs::resize_file(world.Inside("old"), 65 << 20);
  EXPECT_EQ(world.TryCommit(), "");
  for (const std::string& path : {world.Inside("old"), world.Real("old"), world.Real("new")}) {
    struct stat status = {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_GE(status.st_size, 64 << 20) << path;
    EXPECT_LT(status.st_blocks * 512, 1 << 20) << path;
  }
  EXPECT_EQ(World::Text(world.Real("new")).substr(0, 5), std::string("data\0", 5));
}

TEST(Commit, LinksAreNeverFollowed) {
  World world;
  World::Write(world.folder() + "/victim/file", "safe");
  World::Write(world.Real("d/file"), "d");
  world.Make();
  fs::remove_all(world.Inside("d"));
  fs::create_symlink(world.folder() + "/victim", world.Inside("d"));
  fs::create_symlink("/etc/shadow", world.Inside("out"));
  EXPECT_EQ(world.TryCommit(), "");
  EXPECT_EQ(fs::read_symlink(world.Real("out")), "/etc/shadow");
  EXPECT_TRUE(fs::is_symlink(world.Real("d")));
  EXPECT_EQ(World::Text(world.folder() + "/victim/file"), "safe");
}

TEST(Commit, ALinkOnTheWayInTheRealTreeIsAConflict) {
  World world;
  fs::create_directory(world.folder() + "/victim");
  World::Write(world.Real("d/file"), "d");
  world.Make();
  World::Write(world.Inside("d/file"), "D");
  World::Write(world.Inside("d/new"), "N");
  fs::rename(world.Real("d"), world.folder() + "/elsewhere");
  fs::create_symlink(world.folder() + "/victim", world.Real("d"));
  EXPECT_NE(world.TryCommit(), "");
  EXPECT_TRUE(fs::is_empty(world.folder() + "/victim"));
  EXPECT_EQ(World::Text(world.folder() + "/elsewhere/file"), "d");
}

TEST(Commit, HardLinksStayTogether) {
  World world;
  World::Write(world.Real("one"), "same");
  fs::create_hard_link(world.Real("one"), world.Real("two"));
  world.Make();
  EXPECT_EQ(fs::hard_link_count(world.Inside("one")), 2);
  EXPECT_EQ(world.Changes(), Lines());
  std::ofstream(world.Inside("one")) << "both";
  fs::create_hard_link(world.Inside("one"), world.Inside("three"));
  EXPECT_EQ(world.TryCommit(), "");
  EXPECT_EQ(fs::hard_link_count(world.Real("two")), 3);
  EXPECT_EQ(World::Text(world.Real("three")), "both");
}

TEST(Refusal, RepositoriesOfAnyName) {
  World world;
  for (const char* mark : {"HEAD", "objects/x", "refs/x", "config"})
    World::Write(world.Real(std::string("store/") + mark), "before");
  world.Make();
  for (const char* path : {"store/config", "store/hooks/pre-commit", "store/HEAD", "store/refs/y"})
    World::Write(world.Inside(path), "after");
  EXPECT_EQ(world.TryCommit(),
            "store/config: is protected: git obeys it the next time it runs here\n"
            "store/hooks/pre-commit: is protected: git obeys it the next time it runs here\n");
  CommitRequest request;
  request.paths = {"store/hooks", "store/config", "store/HEAD", "store/refs/y"};
  EXPECT_EQ(world.TryCommit(request), "");
  EXPECT_EQ(World::Text(world.Real("store/config")), "after");
}

TEST(Refusal, WhatMakesADirectoryARepository) {
  World world;
  World::Write(world.Real("a/config"), "of something else");
  world.Make();
  for (const char* path : {"a/HEAD", "a/objects/x", "a/refs/x", "w/HEAD", "w/commondir"})
    World::Write(world.Inside(path), "x");
  World::Write(world.Inside("a/config"), "[core] fsmonitor = touch /tmp/obeyed");
  const std::string refused = world.TryCommit();
  for (const char* path : {"a/HEAD: ", "a/objects/x: ", "a/refs/x: ", "a/config: ", "w/HEAD: "})
    EXPECT_NE(refused.find(path), std::string::npos) << path << refused;
  // Nor first the one, and then what makes git obey it; a directory above names nothing.
  CommitRequest request;
  request.paths = {"a"};
  EXPECT_NE(world.TryCommit(request).find("a/HEAD: "), std::string::npos);
  request.paths = {"a/HEAD", "a/objects"};
  EXPECT_EQ(world.TryCommit(request), "");
  request.paths = {"a/refs/x", "a/config"};
  EXPECT_EQ(world.TryCommit(request), "");
}

TEST(Commit, TheOtherNamesOfAFileAreNoConflictAfterwards) {
  World world;
  World::Write(world.Real("a"), "before");
  fs::create_hard_link(world.Real("a"), world.Real("b"));
  fs::create_hard_link(world.Real("a"), world.Real("c"));
  // Until they need not be read to be known.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  world.Make();
  for (const char* name : {"a", "b"}) {
    fs::remove(world.Inside(name));
    World::Write(world.Inside(name), std::string("after ") + name);
    EXPECT_EQ(world.TryCommit(), "");
  }
  EXPECT_EQ(World::Text(world.Real("a")) + World::Text(world.Real("b")), "after aafter b");
  World::Write(world.Real("c"), "somebody's");
  fs::remove(world.Inside("c"));
  EXPECT_NE(world.TryCommit().find("c: "), std::string::npos);
}

TEST(Refusal, WhatAConfigurationNames) {
  World world;
  World::Write(world.Real(".git/config"),
               "[core]\n\thooksPath = tools/hooks\n[include]\n\tpath = ../.settings\n");
  World::Write(world.Real("tools/hooks/pre-commit"), "before");
  World::Write(world.Real("tools/other"), "before");
  // Of somebody else's program.
  World::Write(world.Real("app/config"), "[core]\nhooksPath = ../tools\n");
  world.Make();
  for (const char* path : {"tools/hooks/pre-commit", "tools/hooks/new", "tools/other", ".settings"})
    World::Write(world.Inside(path), "after");
  EXPECT_EQ(world.TryCommit(),
            ".settings: is protected: git obeys it (include.path)\n"
            "tools/hooks/new: is protected: git runs what is in it (core.hooksPath)\n"
            "tools/hooks/pre-commit: is protected: git runs what is in it (core.hooksPath)\n");
  fs::remove_all(world.Inside("tools"));
  fs::create_symlink("elsewhere", world.Inside("tools"));
  EXPECT_NE(world.TryCommit().find("tools: is protected"), std::string::npos);
}

TEST(Refusal, ALinkInThePlaceOfARepository) {
  World world;
  for (const char* mark : {"HEAD", "objects/x", "refs/x"})
    World::Write(world.Real(std::string("store/") + mark), "before");
  world.Make();
  fs::remove_all(world.Inside("store"));
  fs::create_symlink("elsewhere", world.Inside("store"));
  EXPECT_NE(world.TryCommit().find("store: is protected"), std::string::npos);
}

TEST(Commit, ReadOnlyFilesAndDirectories) {
  World world;
  World::Write(world.Real("ro"), "ro", 0444);
  World::Write(world.Real("locked/file"), "f");
  SetMode(world.Real("locked"), 0555);
  world.Make();
  SetMode(world.Inside("ro"), 0644);
  World::Write(world.Inside("ro"), "RO", 0444);
  SetMode(world.Inside("locked"), 0755);
  fs::remove_all(world.Inside("locked"));
  World::Write(world.Inside("new/file"), "n", 0400);
  SetMode(world.Inside("new"), 0555);
  EXPECT_EQ(world.TryCommit(), "");
  EXPECT_EQ(World::Text(world.Real("ro")), "RO");
  EXPECT_EQ(ModeOf(world.Real("ro")), 0444U);
  EXPECT_FALSE(fs::exists(world.Real("locked")));
  EXPECT_EQ(ModeOf(world.Real("new")), 0555U);
  EXPECT_EQ(World::Text(world.Real("new/file")), "n");
}

TEST(Commit, AFailureInTheMiddleTakesEverythingBack) {
  World world;
  World::Write(world.Real("a"), "a");
  World::Write(world.Real("b"), "b");
  world.Make();
  World::Write(world.Inside("a"), "A");
  World::Write(world.Inside("b"), "B");
  World::Write(world.Inside("c/d"), "D");
  CommitRequest request;
  int steps = 0;
  // Somebody writes a file of the workspace after it was compared and before it is replaced.
  request.checkpoint = [&](const char* what) {
    if (std::string_view(what) == "before a step" && ++steps == 2)
      World::Write(world.Real("b"), "user was faster");
  };
  EXPECT_NE(world.TryCommit(request).find("changed while it was committed"), std::string::npos);
  EXPECT_EQ(World::Text(world.Real("a")), "a");
  EXPECT_EQ(World::Text(world.Real("b")), "user was faster");
  EXPECT_EQ(World::Picture(world.workspace()).size(), 2U);
  EXPECT_EQ(world.Changes().size(), 4U);
}

TEST(Commit, AFullDiskChangesNothing) {
  World world;
  World::Write(world.Real("a"), "a");
  world.Make();
  World::Write(world.Inside("a"), std::string(1 << 20, 'A'));
  World::Write(world.Inside("b"), "b");
  const auto before = World::Picture(world.workspace());
  rlimit old = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small = {.rlim_cur = 100'000, .rlim_max = old.rlim_max};
  (void)signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string failed = world.TryCommit();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  EXPECT_NE(failed.find("File too large"), std::string::npos) << failed;
  EXPECT_EQ(World::Picture(world.workspace()), before);
  EXPECT_EQ(world.TryCommit(), "");
}

TEST(Commit, WhatWasNotApprovedIsNotCommitted) {
  World world;
  World::Write(world.Real("a"), "a\n");
  world.Make();
  World::Write(world.Inside("a"), "A\n");
  CommitRequest request;
  std::string shown;
  request.approve = [&](const std::string& report) {
    shown = report;
    return Status(Fail(ErrorCode::kInvalid, "no"));
  };
  EXPECT_EQ(world.TryCommit(request), "no\n");
  EXPECT_NE(shown.find("-a\\n+A\\n"), std::string::npos) << shown;
  EXPECT_EQ(World::Text(world.Real("a")), "a\n");
  // What changes behind the back of who approves does not get through.
  request.approve = [&](const std::string&) {
    World::Write(world.Inside("a"), "B\n");
    return Status();
  };
  EXPECT_NE(world.TryCommit(request).find("changed in the shadow while"), std::string::npos);
  EXPECT_EQ(World::Text(world.Real("a")), "a\n");
}

TEST(Commit, TimesAreThoseOfTheCommand) {
  World world;
  world.Make();
  World::Write(world.Inside("d/f"), "f");
  const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 2}, {.tv_sec = 1'000'000, .tv_nsec = 345}};
  for (const char* path : {"d/f", "d"})
    ASSERT_EQ(utimensat(AT_FDCWD, world.Inside(path).c_str(), times, 0), 0);
  EXPECT_EQ(world.TryCommit(), "");
  for (const char* path : {"d/f", "d"}) {
    struct stat stat = {};
    ASSERT_EQ(lstat(world.Real(path).c_str(), &stat), 0);
    EXPECT_EQ(stat.st_mtim.tv_sec, 1'000'000) << path;
    EXPECT_EQ(stat.st_mtim.tv_nsec, 345) << path;
  }
}

}  // namespace
}  // namespace cordon::shadow
