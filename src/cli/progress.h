#ifndef CORDON_CLI_PROGRESS_H_
#define CORDON_CLI_PROGRESS_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace cordon::cli {

class Answer;

// That something takes its time, and how far it is: on a terminal at standard error, on a line that
// vanishes at the end of this. Drawn by a thread of its own, first after half a second, so work
// that is done sooner shows nothing and none waits. Nothing else may write to the terminal
// meanwhile, and no wall be put up: that wants one thread.
class Progress {
 public:
  explicit Progress(const std::string& text);
  // Nothing is shown with --quiet and --json.
  Progress(const std::string& text, const Answer& answer);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { End(); }

  // From any thread. So many more bytes are done.
  void Add(uint64_t bytes) { bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  // One more is done with this word ("compared", a literal); another word begins anew.
  void Count(const char* done);
  // So many of a known number are done.
  void SetParts(uint64_t done, uint64_t total);

  // Clears the line; nothing is drawn any more.
  void End();

 private:
  void Start();
  void Run();
  void Draw(uint64_t seconds) const;

  const std::string text_;
  std::atomic<uint64_t> bytes_ = 0;
  std::atomic<const char*> done_ = nullptr;
  std::atomic<uint64_t> count_ = 0;
  std::atomic<uint64_t> total_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool has_ended_ = false;
  std::thread thread_;
};

}  // namespace cordon::cli

#endif  // CORDON_CLI_PROGRESS_H_
