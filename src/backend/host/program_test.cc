#include "backend/host/program.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace cordon::backend {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

TEST(Program, IsFoundInPath) {
  EXPECT_TRUE(FindInPath("sh").ends_with("/sh"));
  EXPECT_EQ(FindInPath("no-such-program-anywhere"), "");
}

TEST(Program, OfAProjectIsNotFound) {
  const char* old = getenv("PATH");
  const std::string before = old != nullptr ? old : "";
  ASSERT_EQ(setenv("PATH", "/usr/bin/../bin:bin::.:/bin:/nowhere", 1), 0);
  EXPECT_EQ(HostPath(""), "/usr/bin/../bin:/bin:/nowhere");
  EXPECT_EQ(HostPath("/nowhere/else"), "/usr/bin/../bin:/bin:/nowhere");
  EXPECT_EQ(HostPath("/nowhere"), "/usr/bin/../bin:/bin");
  EXPECT_EQ(HostPath("/usr"), std::filesystem::is_symlink("/bin") ? "/nowhere" : "/bin:/nowhere");
  ASSERT_EQ(setenv("PATH", before.c_str(), 1), 0);
}

TEST(Program, OutputAndErrorAreRead) {
  const auto text = RunProgram({"/bin/sh", "-c", "echo out; echo error >&2; cat"}, seconds(10));
  ASSERT_TRUE(text.has_value()) << text.error().ToString();
  EXPECT_EQ(*text, "out\nerror\n");
}

TEST(Program, FailureIsAnErrorWithTheFirstLine) {
  const auto text =
      RunProgram({"/bin/sh", "-c", "echo 'it is \033[1mbroken'; exit 3"}, seconds(10));
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().ToString(), "/bin/sh: it is [1mbroken");
  EXPECT_FALSE(RunProgram({"/no/such/program"}, seconds(10)).has_value());
}

TEST(Program, OutputIsBounded) {
  const auto text = RunProgram({"/bin/sh", "-c", "head -c 100000 /dev/zero"}, seconds(10));
  ASSERT_TRUE(text.has_value());
  EXPECT_EQ(text->size(), 4096U);
}

TEST(Program, SilenceEndsIt) {
  const auto start = steady_clock::now();
  EXPECT_FALSE(RunProgram({"/bin/sh", "-c", "sleep 60 | cat"}, milliseconds(200)).has_value());
  EXPECT_LT(steady_clock::now() - start, seconds(30));
}

}  // namespace
}  // namespace cordon::backend
