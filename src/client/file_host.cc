#include "client/file_host.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/unix_address.h"
#include "base/write_all.h"
#include "client/file_requests.h"

namespace cordon::client {
namespace {

constexpr int kBacklog = 256;
constexpr int kPauseMs = 20;
constexpr uint32_t kHello = 0;  // operation of a connection's first words

Result<std::string> NewFolder(const std::string& parent) {
  std::string path = parent + "/cordon-files-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return SystemError("mkdtemp(" + path + ")");
  return path;
}

// In /tmp where the path would be too long for a socket's.
Result<std::string> NewSocketFolder() {
  constexpr size_t kLongest = sizeof(sockaddr_un::sun_path) - sizeof "/cordon-files-XXXXXX/files";
  const char* chosen = getenv("TMPDIR");
  const bool fits = chosen != nullptr && chosen[0] == '/' && strlen(chosen) <= kLongest;
  return NewFolder(fits ? chosen : "/tmp");
}

std::string SocketPath(const std::string& folder) {
  return folder + "/files";
}

}  // namespace

FileHost::~FileHost() {
  {
    const std::scoped_lock guard(lock_);
    is_ending_ = true;
    if (listener_.valid()) (void)shutdown(listener_.get(), SHUT_RDWR);
    for (const Served& one : connections_) (void)shutdown(one.socket.get(), SHUT_RDWR);
  }
  if (accepter_.joinable()) accepter_.join();
  for (Served& one : connections_) one.thread.join();
  if (folder_.empty()) return;
  (void)unlink(SocketPath(folder_).c_str());
  (void)rmdir(folder_.c_str());
}

Result<FileHost::Address> FileHost::Add(std::shared_ptr<FileSystem> files, bool is_writable) {
  const std::scoped_lock guard(lock_);
  if (!accepter_.joinable()) CORDON_TRY(Listen());
  const std::string key = std::to_string(known_.size() + 1);
  known_[key] = std::make_shared<FileAnswers>(std::move(files), is_writable);
  return Address{SocketPath(folder_), key};
}

Status FileHost::Listen() {
  if (folder_.empty()) {
    Result<std::string> folder = NewSocketFolder();
    if (!folder) return std::unexpected(folder.error());
    folder_ = std::move(*folder);
  }
  OwnedFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener.valid()) return SystemError("socket(AF_UNIX)");
  const std::string path = SocketPath(folder_);
  const Result<sockaddr_un> address = UnixAddress(path);
  if (!address) return std::unexpected(address.error());
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
      listen(listener.get(), kBacklog) != 0) {
    return SystemError("bind(" + path + ")");
  }
  listener_ = std::move(listener);
  accepter_ = std::thread([this] { Accept(); });
  return {};
}

void FileHost::Accept() {
  for (;;) {
    OwnedFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    // As while this program has no descriptor left: that may change.
    if (!socket.valid()) (void)poll(nullptr, 0, kPauseMs);
    const std::scoped_lock guard(lock_);
    if (is_ending_) return;
    connections_.remove_if([](Served& one) {
      if (one.is_over) one.thread.join();
      return one.is_over.load();
    });
    if (socket.valid()) Begin(std::move(socket));
  }
}

void FileHost::Begin(OwnedFd socket) {
  Served& served = connections_.emplace_back();
  served.socket = std::move(socket);
  served.thread = std::thread([this, &served] {
    Serve(served);
    (void)shutdown(served.socket.get(), SHUT_RDWR);
    served.is_over = true;
  });
}

std::shared_ptr<FileAnswers> FileHost::Find(const std::string& key) {
  const std::scoped_lock guard(lock_);
  const auto found = known_.find(key);
  return found == known_.end() ? nullptr : found->second;
}

void FileHost::Serve(Served& served) {
  FileRequests requests(served.socket.get());
  std::shared_ptr<FileAnswers> answers;
  while (const std::optional<FileRequest> request = requests.Next()) {
    if (request->head.op == kHello) {
      answers = Find(request->path);
    } else if (answers && !SendAll(served.socket.get(), answers->Answer(*request))) {
      return;
    }
    if (!answers) return;
  }
}

}  // namespace cordon::client
