#include "wasm/compiler_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "base/owned_fd.h"

namespace cordon::wasm {
namespace {

// Numbers of the descriptors in the child. The originals are moved above them first, because
// dup2 in a row would overwrite one that is still needed.
constexpr int kModuleFd = 3;
constexpr int kObjectFd = 4;
constexpr int kFirstFreeFd = 16;
constexpr size_t kMaxMessageBytes = 4096;

class SpawnActions {
 public:
  SpawnActions() { posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  void Give(int fd, int number) { posix_spawn_file_actions_adddup2(&actions_, fd, number); }
  void CloseFrom(int number) { posix_spawn_file_actions_addclosefrom_np(&actions_, number); }
  void OpenNull(int number) {
    posix_spawn_file_actions_addopen(&actions_, number, "/dev/null", O_RDWR, 0);
  }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

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

Result<OwnedFd> MoveAbove(int fd) {
  OwnedFd moved(fcntl(fd, F_DUPFD_CLOEXEC, kFirstFreeFd));
  if (!moved.valid()) return SystemError("fcntl(F_DUPFD_CLOEXEC)");
  return moved;
}

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

Status CompilerProcess::Run() const {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return SystemError("pipe2(O_CLOEXEC)");
  const OwnedFd reader(pipe_fds[0]);
  OwnedFd writer(pipe_fds[1]);
  Result<OwnedFd> module = MoveAbove(module_fd);
  if (!module) return std::unexpected(module.error());
  Result<OwnedFd> object = MoveAbove(object_fd);
  if (!object) return std::unexpected(object.error());
  Result<OwnedFd> messages = MoveAbove(writer.get());
  if (!messages) return std::unexpected(messages.error());
  writer.reset();

  SpawnActions actions;
  actions.OpenNull(STDIN_FILENO);
  actions.OpenNull(STDOUT_FILENO);
  actions.Give(messages->get(), STDERR_FILENO);
  actions.Give(module->get(), kModuleFd);
  actions.Give(object->get(), kObjectFd);
  actions.CloseFrom(kObjectFd + 1);
  std::vector<std::string> words = {"cordon-compile", "--module-fd=" + std::to_string(kModuleFd),
                                    "--object-fd=" + std::to_string(kObjectFd),
                                    "--progress-fd=" + std::to_string(STDERR_FILENO)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, program.c_str(), actions.get(), nullptr, argv.data(), environment);
  if (error != 0) return SystemError("posix_spawn(" + program + ")", error);
  messages->reset();

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
