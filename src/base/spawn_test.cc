#include "base/spawn.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <string>

#include "base/memory_file.h"
#include "base/owned_fd.h"

namespace cordon {
namespace {

using Environment = Spawn::Environment;

// What a shell's script writes to its standard output.
std::string OutputOf(
    const std::string& script, const std::function<void(Spawn&)>& prepare = [](Spawn&) {},
    Environment environment = Environment::kEmpty) {
  std::array<int, 2> ends = {};
  EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const OwnedFd reader(ends[0]);
  OwnedFd writer(ends[1]);
  pid_t pid = -1;
  {
    Spawn spawn;
    EXPECT_TRUE(spawn.Give(writer.get(), STDOUT_FILENO));
    prepare(spawn);
    pid = spawn.Start("/bin/sh", {"own-name", "-c", script}, environment).value_or(-1);
  }
  writer.reset();
  std::string text;
  std::array<char, 4096> part = {};
  for (ssize_t got = 0; (got = read(reader.get(), part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<size_t>(got));
  }
  EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
  return text;
}

// Without the library's own signals 32 and 33; of the shell itself, which reads it.
constexpr const char* kSignals =
    "while read name value; do"
    "  case $name in SigBlk:|SigIgn:) echo $name${value#?????????};; esac;"
    "done </proc/self/status";

TEST(Spawn, DescriptorsAreGivenInAnyOrder) {
  const auto files = [](Spawn& spawn) {
    const OwnedFd three(open("/dev/null", O_RDONLY | O_CLOEXEC));
    std::array<OwnedFd, 2> texts = {*MemoryFileWith("a", "first "), *MemoryFileWith("b", "second")};
    // Each has the number of the other, if those are free.
    EXPECT_TRUE(spawn.Give(texts[0].get(), texts[1].get()));
    EXPECT_TRUE(spawn.Give(texts[1].get(), texts[0].get()));
    EXPECT_TRUE(spawn.Give(texts[0].get(), 8));
    EXPECT_TRUE(spawn.Give(texts[1].get(), 9));
    spawn.CloseFrom(10);
  };
  EXPECT_EQ(OutputOf("cat <&8; cat <&9", files), "first second");
}

TEST(Spawn, NothingElseIsThere) {
  const OwnedFd kept(open("/dev/null", O_RDONLY));  // without O_CLOEXEC
  ASSERT_TRUE(kept.valid());
  const std::string script = "for fd in /proc/$$/fd/*; do readlink $fd; done";
  const auto nulls = [](Spawn& spawn) {
    spawn.GiveNull(STDIN_FILENO);
    spawn.GiveNull(STDERR_FILENO);
    spawn.CloseFrom(3);
  };
  const std::string text = OutputOf(script, nulls);
  EXPECT_TRUE(text.starts_with("/dev/null\npipe:[")) << text;
  EXPECT_TRUE(text.ends_with("]\n/dev/null\n")) << text;
  EXPECT_EQ(OutputOf("echo \"$0 ${SPAWN_TEST-none}\"", nulls), "own-name none\n");
}

TEST(Spawn, EnvironmentAndDirectory) {
  ASSERT_EQ(setenv("SPAWN_TEST", "ours", 1), 0);
  const auto in_root = [](Spawn& spawn) { spawn.StartIn("/"); };
  EXPECT_EQ(OutputOf("pwd; echo ${SPAWN_TEST-none}", in_root, Environment::kOurs), "/\nours\n");
  EXPECT_EQ(OutputOf("echo ${SPAWN_TEST-none}"), "none\n");
  ASSERT_EQ(unsetenv("SPAWN_TEST"), 0);
}

TEST(Spawn, SignalsBeginAnew) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
  const auto old_pipe = signal(SIGPIPE, SIG_IGN);
  const auto old_user = signal(SIGUSR1, SIG_IGN);
  const std::string left = OutputOf(kSignals);
  const std::string pipe =
      OutputOf(kSignals, [](Spawn& spawn) { spawn.ResetSignals(Spawn::Defaults::kPipe); });
  const std::string everything =
      OutputOf(kSignals, [](Spawn& spawn) { spawn.ResetSignals(Spawn::Defaults::kAll); });
  signal(SIGPIPE, old_pipe);
  signal(SIGUSR1, old_user);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  EXPECT_EQ(left, "SigBlk:ffbfeff\nSigIgn:0001200\n");
  EXPECT_EQ(pipe, "SigBlk:0000000\nSigIgn:0000200\n");
  EXPECT_EQ(everything, "SigBlk:0000000\nSigIgn:0000000\n");
}

TEST(Spawn, LeadsItsOwnGroupOrSession) {
  const std::string script =
      "read pid name state parent group session rest </proc/self/stat; "
      "[ $pid = $group ] && echo group; [ $pid = $session ] && echo session";
  EXPECT_EQ(OutputOf(script), "");
  EXPECT_EQ(OutputOf(script, [](Spawn& spawn) { spawn.LeadGroup(); }), "group\n");
  EXPECT_EQ(OutputOf(script, [](Spawn& spawn) { spawn.LeadSession(); }), "group\nsession\n");
}

TEST(Spawn, RefusalsSayWhy) {
  Spawn spawn;
  EXPECT_EQ(spawn.Give(-1, 3).error().system_errno, EBADF);
  const Result<pid_t> started = spawn.Start("/nowhere", {"nowhere"});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().ToString(), "posix_spawn(/nowhere): No such file or directory");
}

}  // namespace
}  // namespace cordon
