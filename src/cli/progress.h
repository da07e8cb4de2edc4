#ifndef CORDON_CLI_PROGRESS_H_
#define CORDON_CLI_PROGRESS_H_

// How far something is that takes a while: on standard error, where that is a terminal, after half
// a second, as one line that vanishes in the end. Nothing else writes there meanwhile.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace cordon::cli {

class Progress {
 public:
  // Called on a thread of its own, ten times a second at most: "compiling m.wasm: 3 of 7".
  using Text = std::function<std::string()>;
  explicit Progress(Text text);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  void Draw();

  Text text_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;
  std::thread thread_;
};

// Of something that is done to one path after the other.
class PathProgress {
 public:
  explicit PathProgress(const std::string& what);
  // On any thread. With what has been done with one more, a literal: another word begins anew.
  void Count(const char* done);

 private:
  std::atomic<const char*> done_ = nullptr;
  std::atomic<uint64_t> count_ = 0;
  Progress progress_;
};

// "12.5 MB"
[[nodiscard]] std::string MegabytesText(uint64_t bytes);

}  // namespace cordon::cli

#endif  // CORDON_CLI_PROGRESS_H_
