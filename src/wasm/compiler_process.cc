#include "wasm/compiler_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "base/owned_fd.h"
#include "base/spawn.h"

namespace cordon::wasm {
namespace {

// Numbers of the descriptors in the child.
constexpr int kModuleFd = 3;
constexpr int kObjectFd = 4;
constexpr size_t kMaxMessageBytes = 4096;

// Splits the child's standard error into lines: progress is reported, the rest is the message.
class LineReader {
 public:
  explicit LineReader(const std::function<void(size_t, size_t)>& progress) : progress_(progress) {}

  void Add(std::string_view text) {
    for (const char c : text) {
      if (c == '\n') {
        EndLine();
      } else if (line_.size() < kMaxMessageBytes) {
        line_.push_back(c);
      }
    }
  }
  [[nodiscard]] const std::string& message() const { return message_; }

 private:
  void EndLine() {
    size_t done = 0;
    size_t total = 0;
    if (std::sscanf(line_.c_str(), "functions %zu %zu", &done, &total) == 2) {
      if (progress_) progress_(done, total);
    } else {
      constexpr std::string_view kPrefix = "cordon-compile: ";
      message_ = line_.starts_with(kPrefix) ? line_.substr(kPrefix.size()) : line_;
    }
    line_.clear();
  }

  const std::function<void(size_t, size_t)>& progress_;
  std::string line_;
  std::string message_;
};

int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// Reads until the child closes its end. False at the deadline.
bool ReadLines(int fd, std::chrono::steady_clock::time_point deadline, LineReader* lines) {
  char buffer[4096];
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd wait = {fd, POLLIN, 0};
    const int ready = poll(&wait, 1, static_cast<int>(std::min<int64_t>(left.count(), 1 << 30)));
    if (ready < 0 && errno != EINTR) return true;
    if (ready <= 0) continue;
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    lines->Add({buffer, static_cast<size_t>(count)});
  }
}

}  // namespace

Result<pid_t> CompilerProcess::Start(int messages) const {
  Spawn spawn;
  spawn.GiveNull(STDIN_FILENO);
  spawn.GiveNull(STDOUT_FILENO);
  CORDON_TRY(spawn.Give(messages, STDERR_FILENO));
  CORDON_TRY(spawn.Give(module_fd, kModuleFd));
  CORDON_TRY(spawn.Give(object_fd, kObjectFd));
  spawn.CloseFrom(kObjectFd + 1);
  std::vector<std::string> words = {"cordon-compile", "--module-fd=" + std::to_string(kModuleFd),
                                    "--object-fd=" + std::to_string(kObjectFd),
                                    "--progress-fd=" + std::to_string(STDERR_FILENO)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return spawn.Start(program, words);
}

Status CompilerProcess::Run() const {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return SystemError("pipe2(O_CLOEXEC)");
  const OwnedFd reader(pipe_fds[0]);
  OwnedFd writer(pipe_fds[1]);
  const Result<pid_t> started = Start(writer.get());
  if (!started) return std::unexpected(started.error());
  const pid_t pid = *started;
  writer.reset();

  LineReader lines(progress);
  const bool in_time =
      ReadLines(reader.get(), std::chrono::steady_clock::now() + time_limit, &lines);
  if (!in_time) kill(pid, SIGKILL);
  const int status = WaitFor(pid);
  if (!in_time) {
    return Fail(ErrorCode::kLimit,
                "limit: compiling took longer than " + std::to_string(time_limit.count()) + " s");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status) && !lines.message().empty()) {
    return Fail(ErrorCode::kInvalid, lines.message());
  }
  return Fail(ErrorCode::kInvalid,
              "the compiler ended by " +
                  (WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                       : "status " + std::to_string(WEXITSTATUS(status))) +
                  " on this module");
}

}  // namespace cordon::wasm
