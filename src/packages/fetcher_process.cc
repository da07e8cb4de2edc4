#include "packages/fetcher_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::packages {
namespace {

using std::chrono::steady_clock;

constexpr size_t kLongestLine = 8192;
constexpr size_t kMostAddresses = 16;
constexpr size_t kMostSignatureBytes = 4096;

bool TakeNumber(std::string_view* text, int64_t* number) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  if (text->starts_with(' ')) text->remove_prefix(1);
  return error == std::errc();
}

class Listener {
 public:
  explicit Listener(const FetchProgress& progress) : progress_(progress) {}

  void Add(std::string_view bytes) {
    for (const char c : bytes) {
      if (c == '\n') {
        Take(line_);
        line_.clear();
      } else if (line_.size() < kLongestLine) {
        line_ += c;
      }
    }
  }
  FetcherReport report;
  std::optional<PackageError> error;

 private:
  void Take(std::string_view line) {
    const size_t blank = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, blank);
    std::string_view rest = line.substr(std::min(blank + 1, line.size()));
    if (word == "location") report.location = rest;
    if (word == "good") report.is_good = true;
    if (word == "key") report.key = rest;
    if (word == "signature" && report.signature.size() < kMostSignatureBytes) {
      report.signature += std::string(rest) + "\n";
    }
    if (word == "address" && report.addresses.size() < kMostAddresses) {
      report.addresses.emplace_back(rest);
    }
    if (word == "error") {
      const size_t end = std::min(rest.find(' '), rest.size());
      error = {CodeOf(rest.substr(0, end)), Shown(rest.substr(std::min(end + 1, rest.size())))};
    }
    if (word == "progress" || word == "status") TakeNumbers(word, rest);
  }

  void TakeNumbers(std::string_view word, std::string_view rest) {
    int64_t first = 0;
    int64_t second = 0;
    if (!TakeNumber(&rest, &first) || !TakeNumber(&rest, &second)) return;
    if (word == "progress") {
      if (progress_) progress_(first, second);
      return;
    }
    report.status = static_cast<int>(std::clamp<int64_t>(first, 0, 999));
    report.size = static_cast<uint64_t>(std::max<int64_t>(second, 0));
  }

  const FetchProgress& progress_;
  std::string line_;
};

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

Result<pid_t> Start(const Fetcher& fetcher, const FetcherJob& job, int output) {
  constexpr int kFirst = 3;
  Actions actions;
  posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(actions.get(), STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<OwnedFd> given;
  const auto give = [&](int fd, int number) -> Status {
    Result<OwnedFd> moved = MoveAbove(fd);
    if (!moved) return std::unexpected(moved.error());
    posix_spawn_file_actions_adddup2(actions.get(), moved->get(), number);
    given.push_back(std::move(*moved));
    return {};
  };
  CORDON_TRY(give(output, STDOUT_FILENO));
  int next = kFirst;
  for (const int fd : job.descriptors) CORDON_TRY(give(fd, next++));
  posix_spawn_file_actions_addclosefrom_np(actions.get(), next);
  std::vector<std::string> words = job.words;
  words.insert(words.begin(), "cordon-fetch");
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, fetcher.program.c_str(), actions.get(), nullptr,
                                arguments.data(), environment);
  if (error != 0) return SystemError("posix_spawn(" + fetcher.program + ")", error);
  return pid;
}

// Until the other end is closed; false at the deadline.
bool Listen(int fd, steady_clock::time_point deadline, Listener* listener) {
  std::array<char, 4096> buffer = {};
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd wait = {fd, POLLIN, 0};
    const int ready = poll(&wait, 1, static_cast<int>(std::min<int64_t>(left.count(), 1 << 30)));
    if (ready <= 0) continue;
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    listener->Add({buffer.data(), static_cast<size_t>(got)});
  }
}

}  // namespace

PackageResult<FetcherReport> RunFetcher(const Fetcher& fetcher, const FetcherJob& job) {
  const auto refuse = [](const Error& error) {
    return Refuse(PackageCode::kFetch, error.ToString());
  };
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return refuse(SystemError("pipe2").error());
  const OwnedFd reader(ends[0]);
  OwnedFd writer(ends[1]);
  const Result<pid_t> pid = Start(fetcher, job, writer.get());
  if (!pid) return refuse(pid.error());
  writer.reset();
  Listener listener(job.progress);
  const bool in_time = Listen(reader.get(), steady_clock::now() + job.time_limit, &listener);
  if (!in_time) (void)kill(*pid, SIGKILL);
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) {
    return Refuse(PackageCode::kFetch,
                  "no answer within " + std::to_string(job.time_limit.count()) + " s");
  }
  if (listener.error) return std::unexpected(*listener.error);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::move(listener.report);
  return Refuse(PackageCode::kFetch,
                WIFSIGNALED(status)
                    ? "the fetcher was ended by signal " + std::to_string(WTERMSIG(status))
                    : "the fetcher ended with status " + std::to_string(WEXITSTATUS(status)));
}

}  // namespace cordon::packages
