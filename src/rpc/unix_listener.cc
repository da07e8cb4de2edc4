#include "rpc/unix_listener.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <thread>

#include "base/random_digits.h"
#include "base/unix_address.h"

namespace cordon::rpc {
namespace {

constexpr int kBacklog = 64;
constexpr size_t kBesideName = 8;

// Of a file in the same folder.
std::string NameBeside(const std::string& path) {
  return path.substr(0, path.rfind('/') + 1) + "." + RandomDigits(kBesideName - 1);
}

// Whether somebody listens there.
Result<bool> DoesAnswer(const std::string& path) {
  const Result<sockaddr_un> address = UnixAddress(path);
  if (!address) return std::unexpected(address.error());
  const OwnedFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return SystemError("socket(AF_UNIX)");
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0) {
    return true;
  }
  // So many wait that there is no room for one more.
  if (errno == EAGAIN) return true;
  if (errno == ECONNREFUSED || errno == ENOENT) return false;
  return SystemError("connect(" + path + ")");
}

// Replaces nothing.
Status Rename(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno != EINVAL) return SystemError("renameat2(" + to + ", RENAME_NOREPLACE)");
  // Some file systems do not have it.
  if (link(from.c_str(), to.c_str()) != 0) return SystemError("link(" + to + ")");
  (void)unlink(from.c_str());
  return {};
}

// Until it is closed no other daemon takes a name in this folder.
Result<OwnedFd> LockFolder(const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  OwnedFd locked(open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!locked.valid()) return SystemError("open(" + folder + ", O_DIRECTORY)");
  // Others have it for a moment; whoever keeps it may as well take the name itself.
  constexpr int kTries = 500;
  for (int i = 0; flock(locked.get(), LOCK_EX | LOCK_NB) != 0; ++i) {
    if (errno != EWOULDBLOCK) return SystemError("flock(" + folder + ")");
    if (i == kTries) return Fail(ErrorCode::kInvalid, "somebody has locked the folder", folder);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return locked;
}

// A socket that a daemon left behind goes; one that somebody answers at stays, as does any other
// file.
Status RemoveStale(const std::string& path) {
  struct stat stat = {};
  if (lstat(path.c_str(), &stat) != 0) return {};
  if (!S_ISSOCK(stat.st_mode)) return Fail(ErrorCode::kInvalid, "is there and is no socket", path);
  const Result<bool> answers = DoesAnswer(path);
  if (!answers) return std::unexpected(answers.error());
  if (*answers) return Fail(ErrorCode::kInvalid, "another daemon answers here", path);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return SystemError("unlink(" + path + ")");
  return {};
}

Result<OwnedFd> Listen(const std::string& path) {
  const Result<sockaddr_un> address = UnixAddress(path);
  if (!address) return std::unexpected(address.error());
  OwnedFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener.valid()) return SystemError("socket(AF_UNIX)");
  // Never open to others, not even for a moment.
  constexpr mode_t kOwnerOnly = 0177;
  const mode_t before = umask(kOwnerOnly);
  const int bound =
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  umask(before);
  if (bound != 0) return SystemError("bind(" + path + ")");
  if (listen(listener.get(), kBacklog) != 0) {
    const Error error = SystemError("listen").error();
    (void)unlink(path.c_str());
    return std::unexpected(error);
  }
  return listener;
}

}  // namespace

Result<OwnedFd> ListenAt(const std::string& path) {
  const Result<sockaddr_un> address = UnixAddress(path);
  if (!address) return std::unexpected(address.error());
  const std::string beside = NameBeside(path);
  const Result<OwnedFd> locked = LockFolder(path);
  if (!locked) return std::unexpected(locked.error());
  CORDON_TRY(RemoveStale(path));
  Result<OwnedFd> listener = Listen(beside);
  if (!listener) return listener;
  if (const Status named = Rename(beside, path); !named) {
    (void)unlink(beside.c_str());
    return std::unexpected(named.error());
  }
  return listener;
}

}  // namespace cordon::rpc
