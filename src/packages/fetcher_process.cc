#include "packages/fetcher_process.h"

#include <fcntl.h>
#include <poll.h>
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
#include "base/spawn.h"

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

Result<pid_t> Start(const Fetcher& fetcher, const FetcherJob& job, int output) {
  constexpr int kFirst = 3;
  Spawn spawn;
  spawn.GiveNull(STDIN_FILENO);
  spawn.GiveNull(STDERR_FILENO);
  CORDON_TRY(spawn.Give(output, STDOUT_FILENO));
  int next = kFirst;
  for (const int fd : job.descriptors) CORDON_TRY(spawn.Give(fd, next++));
  spawn.CloseFrom(next);
  std::vector<std::string> words = job.words;
  words.insert(words.begin(), "cordon-fetch");
  return spawn.Start(fetcher.program, words);
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
