#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/blocked_signals.h"
#include "base/plain_text.h"
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

Progress::Progress(const std::string& text) : text_(PlainText(text)) {
  Start();
}

Progress::Progress(const std::string& text, const Answer& answer) : text_(PlainText(text)) {
  if (!answer.is_quiet() && !answer.is_json()) Start();
}

void Progress::Start() {
  if (!CanDraw()) return;
  const BlockedSignals blocked;
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error&) {
    thread_ = {};  // Nothing is shown, and the work is done all the same.
  }
}

void Progress::Count(const char* done) {
  if (done_.exchange(done) != done) count_ = 0;
  ++count_;
}

void Progress::SetParts(uint64_t done, uint64_t total) {
  count_ = done;
  total_ = total;
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
  const char* done = done_.load();
  if (done != nullptr) line += ", " + std::to_string(count_) + " " + done;
  if (total_ != 0) line += ", " + std::to_string(count_) + " of " + std::to_string(total_);
  line += ", " + std::to_string(seconds) + " s";
  if (line.size() > Columns()) {
    line.resize(Columns());
    // Not within a character of UTF-8.
    while ((static_cast<unsigned char>(line.back()) & 0xc0) == 0x80) line.pop_back();
    if (static_cast<unsigned char>(line.back()) >= 0xc0) line.pop_back();
  }
  Put(std::string(kClearLine) + line);
}

}  // namespace cordon::cli
