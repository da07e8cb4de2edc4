#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "base/blocked_signals.h"
#include "base/plain_text.h"
#include "base/write_all.h"

namespace cordon::cli {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(500);
constexpr auto kPause = std::chrono::milliseconds(100);
constexpr std::string_view kClearLine = "\r\033[K";
constexpr size_t kUsualColumns = 80;

bool CanDraw() {
  const char* terminal = getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

// A line that is longer than the terminal is wide could not be taken back.
std::string Fitting(std::string line) {
  winsize size = {};
  const bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  const size_t columns = is_known ? size.ws_col : kUsualColumns;
  if (line.size() < columns) return line;
  size_t end = columns - 1;
  // Not within a character of UTF-8.
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;
  line.resize(end);
  return line;
}

void Put(std::string_view text) {
  (void)WriteAll(STDERR_FILENO, text, "standard error");
}

}  // namespace

Progress::Progress(Text text) : text_(std::move(text)) {
  if (!CanDraw()) return;
  const BlockedSignals blocked;
  try {
    thread_ = std::thread([this] { Draw(); });
  } catch (const std::system_error&) {
    text_ = nullptr;  // It is done unseen.
  }
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Progress::Draw() {
  std::unique_lock lock(mutex_);
  const auto is_over = [this] { return is_over_; };
  if (changed_.wait_for(lock, kPatience, is_over)) return;
  do {
    Put(std::string(kClearLine) + Fitting("cordon: " + PlainText(text_())));
  } while (!changed_.wait_for(lock, kPause, is_over));
  Put(kClearLine);
}

PathProgress::PathProgress(const std::string& what)
    : progress_([this, what] {
        const char* done = done_.load();
        return what + (done == nullptr ? "" : ": " + std::to_string(count_.load()) + " " + done);
      }) {}

void PathProgress::Count(const char* done) {
  if (done_.exchange(done) != done) count_ = 0;
  ++count_;
}

std::string MegabytesText(uint64_t bytes) {
  char text[32];
  (void)snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

}  // namespace cordon::cli
