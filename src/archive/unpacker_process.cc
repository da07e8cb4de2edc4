#include "archive/unpacker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include "archive/entry_frame.h"
#include "base/owned_fd.h"
#include "base/spawn.h"
#include "base/waited_child.h"

namespace cordon::archive {
namespace {

constexpr int kPipeBytes = 1 << 20;
constexpr size_t kBufferBytes = sizeof(FrameHeader) + kMaxFrameBytes;
// It says something every few megabytes: who is silent for so long has been stopped.
constexpr std::chrono::seconds kMostSilence{120};

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
  const bool has_room = job.to.fd >= 0;
  Spawn spawn;
  spawn.GiveNull(STDIN_FILENO);
  spawn.GiveNull(STDERR_FILENO);
  CORDON_TRY(spawn.Give(output, STDOUT_FILENO));
  CORDON_TRY(spawn.Give(job.fd, kInput));
  if (has_room) CORDON_TRY(spawn.Give(job.to.fd, kRoom));
  spawn.CloseFrom(has_room ? kRoom + 1 : kInput + 1);
  // Signals that this thread does not hear are for the child as for everybody.
  spawn.ResetSignals(Spawn::Defaults::kPipe);
  return spawn.Start(
      program,
      {"cordon-unpack", std::to_string(job.offset), std::to_string(job.bytes.size()),
       std::to_string(static_cast<uint32_t>(job.form)),
       std::to_string(static_cast<uint32_t>(job.wanted)), std::to_string(job.most_plain_bytes),
       job.hashes ? "1" : "0", std::to_string(has_room ? job.to.bytes : 0)});
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
