#ifndef CORDON_CLIENT_FILE_HOST_H_
#define CORDON_CLIENT_FILE_HOST_H_

// Where the file systems of this program are asked: a socket in a folder of this user's alone. Each
// sandbox that mounts one, and each fork, has a connection, and each connection a thread.

#include <atomic>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/owned_fd.h"
#include "client/file_answers.h"

namespace cordon::client {

class FileHost {
 public:
  FileHost() = default;
  FileHost(const FileHost&) = delete;
  FileHost& operator=(const FileHost&) = delete;
  // Waits for calls that go on.
  ~FileHost();

  struct Address {
    std::string socket_path;
    std::string key;
  };
  // What `mount` is told.
  [[nodiscard]] Result<Address> Add(std::shared_ptr<FileSystem> files, bool is_writable);

 private:
  struct Served {
    OwnedFd socket;
    std::atomic<bool> is_over = false;
    std::thread thread;
  };

  [[nodiscard]] Status Listen();
  void Accept();
  void Begin(OwnedFd socket);
  void Serve(Served& served);
  [[nodiscard]] std::shared_ptr<FileAnswers> Find(const std::string& key);

  std::mutex lock_;  // of everything below
  std::string folder_;
  OwnedFd listener_;
  std::map<std::string, std::shared_ptr<FileAnswers>> known_;
  std::list<Served> connections_;
  bool is_ending_ = false;
  std::thread accepter_;
};

}  // namespace cordon::client

#endif  // CORDON_CLIENT_FILE_HOST_H_
