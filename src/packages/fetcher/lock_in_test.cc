// What is left to the fetcher, tried from inside: each attempt in a process of its own.

#include "packages/fetcher/lock_in.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>

namespace cordon::packages {
namespace {

enum class Outcome { kSucceeded, kFailed, kKilled, kNotLocked };

// In a child that was locked in; `attempt` says whether it succeeded.
Outcome Try(const std::function<Status()>& lock, const std::function<bool()>& attempt) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (!lock()) _exit(2);
    _exit(attempt() ? 0 : 1);
  }
  int status = 0;
  (void)waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) return Outcome::kKilled;
  constexpr Outcome kOutcomes[] = {Outcome::kSucceeded, Outcome::kFailed, Outcome::kNotLocked};
  return kOutcomes[WEXITSTATUS(status) % 3];
}

Outcome TryLocked(const std::function<bool()>& attempt) {
  return Try(LockIn, attempt);
}
Outcome TryReading(const std::function<bool()>& attempt) {
  return Try(LockInToReading, attempt);
}

bool Connects() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return fd >= 0 &&
         (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 || errno == ECONNREFUSED);
}

bool Executes() {
  char* none[] = {nullptr};
  return execve("/bin/true", none, none) == 0;
}

TEST(FetcherLockIn, LeavesNothingToReach) {
  EXPECT_EQ(TryLocked([] { return true; }), Outcome::kSucceeded);
  EXPECT_EQ(TryLocked([] { return open("/etc/passwd", O_RDONLY) >= 0; }), Outcome::kFailed);
  EXPECT_EQ(TryLocked([] { return openat(AT_FDCWD, "/tmp/x", O_CREAT | O_WRONLY, 0600) >= 0; }),
            Outcome::kFailed);
  EXPECT_EQ(TryLocked(Connects), Outcome::kFailed);
  EXPECT_EQ(TryLocked(Executes), Outcome::kKilled);
  EXPECT_EQ(TryLocked([] { return fork() >= 0; }), Outcome::kKilled);
  EXPECT_EQ(TryLocked([] { return kill(getppid(), 0) == 0; }), Outcome::kKilled);
  EXPECT_EQ(TryLocked([] { return syscall(SYS_ptrace, 0, 0, 0, 0) == 0; }), Outcome::kKilled);
  EXPECT_EQ(TryLocked([] {
              return mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                          0) != MAP_FAILED;
            }),
            Outcome::kKilled);
}

// A socket that is there already cannot be sent elsewhere.
TEST(FetcherLockIn, LeavesNoWayForTheConnection) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  ASSERT_GE(fd, 0);
  // connect(2) says what libcurl wants to hear, and does nothing.
  EXPECT_EQ(TryLocked([fd] {
              sockaddr_in to = {};
              to.sin_family = AF_INET;
              to.sin_port = htons(9);
              to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
              const int connected = connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to);
              socklen_t size = sizeof to;
              return connected == 0 || errno != EINPROGRESS ||
                     getpeername(fd, reinterpret_cast<sockaddr*>(&to), &size) == 0;
            }),
            Outcome::kFailed);
  close(fd);
}

TEST(FetcherLockIn, ReadsForNamesAndNothingElse) {
  EXPECT_EQ(TryReading([] { return open("/etc/hosts", O_RDONLY) >= 0; }), Outcome::kSucceeded);
  EXPECT_EQ(TryReading([] { return open("/tmp/cordon-lock-in", O_CREAT | O_WRONLY, 0600) >= 0; }),
            Outcome::kFailed);
  EXPECT_EQ(TryReading(Executes), Outcome::kFailed);
  EXPECT_EQ(TryReading([] { return fork() >= 0; }), Outcome::kFailed);
  EXPECT_EQ(TryReading([] { return kill(getppid(), 0) == 0; }), Outcome::kFailed);
}

}  // namespace
}  // namespace cordon::packages
