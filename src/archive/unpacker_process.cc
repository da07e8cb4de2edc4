#include "archive/unpacker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include "archive/entry_frame.h"
#include "base/owned_fd.h"
#include "base/waited_child.h"

namespace cordon::archive {
namespace {

constexpr int kPipeBytes = 1 << 20;
constexpr size_t kBufferBytes = sizeof(FrameHeader) + kMaxFrameBytes;
// It says something every few megabytes: who is silent for so long has been stopped.
constexpr std::chrono::seconds kMostSilence{120};

class Actions {
 public:
  Actions() { posix_spawn_file_actions_init(&actions_); }
  ~Actions() { posix_spawn_file_actions_destroy(&actions_); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_ = {};
};

// Above every number that the child has, so that none is overwritten before it is given.
Result<OwnedFd> MoveAbove(int fd) {
  constexpr int kFirstFree = 16;
  OwnedFd moved(fcntl(fd, F_DUPFD_CLOEXEC, kFirstFree));
  if (!moved.valid()) return SystemError("fcntl(F_DUPFD_CLOEXEC)");
  return moved;
}

// Until it is ended, however this is left.
class Child {
 public:
  Child(pid_t pid, OwnedFd pidfd) : waited_(pid), pid_(pid), pidfd_(std::move(pidfd)) {}
  ~Child() { (void)End(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // How it had ended, unless it has to be ended now.
  std::string End() {
    if (pid_ < 0) return {};
    (void)syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
    siginfo_t info = {};
    int waited = -1;
    do {
      waited = waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED);
    } while (waited != 0 && errno == EINTR);
    pid_ = -1;
    if (waited != 0) return "ended";
    const std::string number = std::to_string(info.si_status);
    if (info.si_code == CLD_EXITED) return "ended with status " + number;
    const char* name = sigabbrev_np(info.si_status);
    return "was ended by signal " + number + (name == nullptr ? "" : std::string(" SIG") + name);
  }
  // It has closed its end, or is about to be gone.
  void WaitForEnd() const {
    pollfd wait = {pidfd_.get(), POLLIN, 0};
    constexpr int kMostMs = 5000;
    while (poll(&wait, 1, kMostMs) < 0 && errno == EINTR) {
    }
  }

 private:
  const WaitedChild waited_;
  pid_t pid_;
  OwnedFd pidfd_;
};

Result<pid_t> Start(const std::string& program, const ReadJob& job, int output) {
  constexpr int kInput = 3;
  constexpr int kRoom = 4;
  Actions actions;
  const Result<OwnedFd> input = MoveAbove(job.fd);
  if (!input) return std::unexpected(input.error());
  const Result<OwnedFd> moved = MoveAbove(output);
  if (!moved) return std::unexpected(moved.error());
  posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(actions.get(), moved->get(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(actions.get(), STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(actions.get(), input->get(), kInput);
  const bool has_room = job.to.fd >= 0;
  Result<OwnedFd> room = has_room ? MoveAbove(job.to.fd) : Result<OwnedFd>(OwnedFd());
  if (!room) return std::unexpected(room.error());
  if (has_room) posix_spawn_file_actions_adddup2(actions.get(), room->get(), kRoom);
  posix_spawn_file_actions_addclosefrom_np(actions.get(), has_room ? kRoom + 1 : kInput + 1);
  // Signals that this thread does not hear are for the child as for everybody.
  posix_spawnattr_t attributes;
  (void)posix_spawnattr_init(&attributes);
  sigset_t none;
  (void)sigemptyset(&none);
  (void)posix_spawnattr_setsigmask(&attributes, &none);
  sigset_t pipe;
  (void)sigemptyset(&pipe);
  (void)sigaddset(&pipe, SIGPIPE);
  (void)posix_spawnattr_setsigdefault(&attributes, &pipe);
  (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> words = {"cordon-unpack",
                                    std::to_string(job.offset),
                                    std::to_string(job.bytes.size()),
                                    std::to_string(static_cast<uint32_t>(job.form)),
                                    std::to_string(static_cast<uint32_t>(job.wanted)),
                                    std::to_string(job.most_plain_bytes),
                                    job.hashes ? "1" : "0",
                                    std::to_string(has_room ? job.to.bytes : 0)};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, program.c_str(), actions.get(), &attributes, arguments.data(), environment);
  (void)posix_spawnattr_destroy(&attributes);
  if (error != 0) return SystemError("posix_spawn(" + program + ")", error);
  return pid;
}

Result<size_t> ReadSome(int fd, std::span<std::byte> to) {
  for (;;) {
    pollfd wait = {fd, POLLIN, 0};
    constexpr auto kMs = std::chrono::milliseconds(kMostSilence).count();
    const int ready = poll(&wait, 1, static_cast<int>(kMs));
    if (ready == 0) return Fail(ErrorCode::kSystem, "archive: its reader says nothing");
    if (ready < 0 && errno != EINTR) return SystemError("poll()");
    if (ready < 0) continue;
    const ssize_t got = read(fd, to.data(), to.size());
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return SystemError("read(archive's reader)");
  }
}

}  // namespace

Result<std::string> UnpackerProcess::Read(const ReadJob& job, RawVisitor& visitor) const {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError("pipe2");
  const OwnedFd reader(ends[0]);
  OwnedFd writer(ends[1]);
  // Where the user has too many such already it is the usual size.
  (void)fcntl(reader.get(), F_SETPIPE_SZ, kPipeBytes);
  const Result<pid_t> pid = Start(program_, job, writer.get());
  if (!pid) return std::unexpected(pid.error());
  Child child(*pid, OwnedFd(static_cast<int>(syscall(SYS_pidfd_open, *pid, 0))));
  writer.reset();
  FrameReplay replay(visitor, job.bytes);
  std::vector<std::byte> buffer(kBufferBytes);
  for (size_t filled = 0;;) {
    const Result<size_t> got = ReadSome(reader.get(), std::span(buffer).subspan(filled));
    if (!got) return std::unexpected(got.error());
    if (*got == 0) break;
    filled += *got;
    const Result<size_t> taken = replay.Take(std::span(buffer).first(filled));
    if (!taken) return std::unexpected(taken.error());
    filled -= *taken;
    if (*taken > 0) memmove(buffer.data(), buffer.data() + *taken, filled);
  }
  if (replay.done()) return *replay.done();
  child.WaitForEnd();
  return Fail(ErrorCode::kCorrupt, "archive: its reader " + child.End() + " before it was done");
}

}  // namespace cordon::archive
