#ifndef CORDON_LIVE_FILE_SERVER_H_
#define CORDON_LIVE_FILE_SERVER_H_

// Answers what the kernel of a sandbox asks about files that are not its own, in a thread: whoever
// waits inside waits for nobody else, and nobody outside waits for a slow disk. Every word of a
// request is read once, and believed when it has been checked.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "arena/spin.h"
#include "base/error.h"
#include "kernel/control.h"
#include "live/client_files.h"
#include "live/host_directory.h"

namespace cordon::live {

// What a place in the control page asks, checked; nothing: it makes no sense. Names in its data are
// read too.
[[nodiscard]] std::optional<FileRequest> ReadFileRequest(const control::FileCall& call);

class FileServer {
 public:
  explicit FileServer(control::Control& page) : page_(page) {}
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;
  ~FileServer() { Stop(); }

  // The index of the mount, which is nobody else's ever after. Begins to serve.
  [[nodiscard]] Result<uint32_t> Add(HostDirectory directory);
  [[nodiscard]] Result<uint32_t> Add(ClientFiles::Options client);
  void Remove(uint32_t index);

  // While the page changes its place. Stop waits for what is being answered, but not for clients;
  // Start begins if there is a mount.
  void Stop();
  void Start();
  // Around a fork of the process, in both; then, in the new one, where the threads are not.
  void Lock();
  void Unlock();
  void ForgetThreads();

 private:
  using Clock = ClientFiles::Clock;
  struct Mount {
    std::optional<HostDirectory> directory;
    std::unique_ptr<ClientFiles> client;  // without a directory
  };

  // Under the lock: the index of one more.
  [[nodiscard]] Result<uint32_t> Add(Mount mount);
  void Run();
  // Until the bell is another one, or somebody has waited too long.
  void Sleep(uint32_t bell);
  enum class Look {
    kMissed,
    kHelped,    // the bell is another one
    kAnswered,  // nobody waits for the client any more, and who did is to run here
  };
  // For a moment, at the bell and for answers of the client that was asked last.
  [[nodiscard]] Look LookAt(uint32_t bell);
  void MoveIfFar(bool is_far);
  // For how long, in ns.
  uint64_t Yield();
  [[nodiscard]] bool is_crowded() const { return platform::ClockNs(1) < crowded_until_; }
  [[nodiscard]] bool TakeAnswers();
  void ReturnAnswers();
  void Serve(control::FileCall& call);
  void Finish(control::FileCall& call, const FileReply& reply);
  // Until when there is nothing to do if nobody asks.
  [[nodiscard]] uint64_t ExpireAll();

  control::Control& page_;
  std::mutex mutex_;  // of the mounts
  std::array<Mount, control::kMaxFileMounts> mounts_;
  uint32_t count_ = 0;
  std::atomic<bool> stops_ = false;
  std::unique_ptr<std::thread> thread_;
  const bool spins_ = std::thread::hardware_concurrency() > 1;
  // Of the thread.
  SpinHabit habit_;
  std::optional<uint32_t> asked_;  // the mount of the client that was asked last
  bool is_elsewhere_ = false;      // that client, lately: it answered while this thread ran
  uint64_t crowded_until_ = 0;
  uint32_t far_ = 0;  // answers in a row that were far
  uint64_t stay_until_ = 0;
  // Where who was answered had slept. Of whoever takes answers.
  enum class Asleep { kNobody, kHere, kElsewhere };
  std::atomic<Asleep> asleep_ = Asleep::kNobody;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_FILE_SERVER_H_
