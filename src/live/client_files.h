#ifndef CORDON_LIVE_CLIENT_FILES_H_
#define CORDON_LIVE_CLIENT_FILES_H_

// A file system that a client has, as a sandbox's file server sees it: requests go out over a
// connection of its own, and a thread takes the answers, so that nobody but who asked waits for
// them; or the server takes them itself, for as long as it looks. A client that does not answer in
// time, breaks the rules or is gone is EIO for who asks.

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"
#include "live/client_file_cache.h"
#include "live/client_file_frame.h"
#include "live/host_directory.h"

namespace cordon::live {

class ClientFiles {
 public:
  using Clock = ClientFileCache::Clock;

  struct Options {
    std::string socket;  // where the client listens
    std::string key;     // which of its file systems is meant
    HostDirectory::Rights rights = HostDirectory::Rights::kRead;
    std::chrono::milliseconds timeout{10'000};
    std::chrono::milliseconds cache{0};  // how long what it said may be believed
  };
  // The answer of a place in the control page, with what is put into its data. Called by the
  // thread.
  using Finish = std::function<void(uint32_t slot, const FileReply& reply, std::string_view data)>;

  [[nodiscard]] static Result<std::unique_ptr<ClientFiles>> Connect(Options options, Finish finish);
  ClientFiles(const ClientFiles&) = delete;
  ClientFiles& operator=(const ClientFiles&) = delete;
  ~ClientFiles();

  // The answer, with `data` filled in; nothing: Finish gives it later.
  [[nodiscard]] std::optional<FileReply> Ask(uint32_t slot, const FileRequest& request,
                                             uint8_t* data);
  // Takes what has arrived, without waiting; until ReturnAnswers the thread takes nothing. Whether
  // anything had.
  [[nodiscard]] bool TakeAnswers();
  // To be called when an answer is waited for and is not looked for any more. Where none is, the
  // thread is not woken up.
  void ReturnAnswers();
  // Who has waited for too long hears so. When somebody else will have; never: nobody waits.
  [[nodiscard]] Clock::time_point Expire();
  // Nobody waits any more, nor hears of what was asked.
  void Abandon();

  // Around a fork of the process, in which the thread is not; then a connection of its own.
  void Lock() { mutex_.lock(); }
  void Unlock() { mutex_.unlock(); }
  void BecomeFork();

 private:
  struct Waiter {
    uint32_t slot;
    uint64_t offset;
    uint32_t count;
  };
  struct Pending {
    FileRequest request;
    std::vector<Waiter> waiters;  // none: read ahead
    Clock::time_point until;
    bool is_stale = false;  // something was changed meanwhile
  };

  ClientFiles(Options options, Finish finish)
      : options_(std::move(options)), finish_(std::move(finish)), cache_(options_.cache) {}

  [[nodiscard]] Status Open();
  void StartThread();
  void Run();
  // Until the thread is to take answers again.
  void StandBack();

  // Under the lock.
  // What has arrived; how many bytes, -1 for nothing. It may be the end of the connection.
  ssize_t Receive();
  [[nodiscard]] std::optional<FileReply> FromCache(const FileRequest& request, uint8_t* data);
  [[nodiscard]] std::optional<FileReply> AskRead(uint32_t slot, const FileRequest& request,
                                                 uint8_t* data);
  void ReadAhead(const ClientFileCache::Range& range, uint64_t offset);
  Pending& Send(FileRequest request, const uint8_t* data);
  void Write(const std::string& bytes);
  void WriteMore();
  void Take(const ClientFileAnswer& answer);
  void TakeRead(Pending& pending, const ClientFileAnswer& answer, int64_t result);
  void FinishAll(const Pending& pending, const FileReply& reply, std::string_view data = {});
  void NoteChange();
  void Die();

  const Options options_;
  const Finish finish_;
  std::mutex mutex_;
  OwnedFd socket_, wake_;
  std::unique_ptr<std::thread> thread_;
  std::atomic<bool> stops_ = false;
  std::atomic<uint32_t> stands_back_ = 0;  // the thread: somebody else takes the answers
  bool is_dead_ = false;
  uint32_t last_number_ = 0;
  std::map<uint32_t, Pending> pending_;
  std::string outgoing_, incoming_;
  ClientAnswerReader reader_;
  ClientFileCache cache_;
  // Where the last read of a file ended that was read from its beginning.
  std::string read_path_;
  uint64_t read_end_ = 0;
};

}  // namespace cordon::live

#endif  // CORDON_LIVE_CLIENT_FILES_H_
