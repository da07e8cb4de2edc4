#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/answer.h"

namespace cordon::cli {
namespace {

constexpr std::chrono::milliseconds kPatience{500};
constexpr std::chrono::milliseconds kBetween{100};
constexpr std::string_view kClearLine = "\r\033[K";

bool CanDraw() {
  const char* terminal = getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

// A line that wraps could not be cleared.
size_t Columns() {
  winsize size = {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

// In one piece; a terminal that takes nothing more is no reason to fail.
void Put(std::string_view text) {
  (void)!write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

Progress::Progress(std::string text, const Answer& answer) : text_(std::move(text)) {
  if (answer.is_quiet() || answer.is_json() || !CanDraw()) return;
  // Signals are for the thread that works.
  sigset_t all = {};
  sigset_t before = {};
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error&) {
    // Without a thread nothing is shown, and the work is done all the same.
    thread_ = std::thread();
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Progress::End() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    has_ended_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Progress::Run() {
  const auto begin = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, kPatience, [this] { return has_ended_; })) return;
  do {
    const auto time = std::chrono::steady_clock::now() - begin;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    Draw(static_cast<uint64_t>(seconds.count()));
  } while (!changed_.wait_for(lock, kBetween, [this] { return has_ended_; }));
  Put(kClearLine);
}

void Progress::Draw(uint64_t seconds) const {
  std::string line = "cordon: " + text_;
  const uint64_t bytes = bytes_.load(std::memory_order_relaxed);
  if (bytes != 0) line += ", " + std::to_string(bytes >> 20) + " MiB";
  line += ", " + std::to_string(seconds) + " s";
  line.resize(std::min(line.size(), Columns()));
  Put(std::string(kClearLine) + line);
}

}  // namespace cordon::cli
