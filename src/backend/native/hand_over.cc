#include "backend/native/hand_over.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "backend/native/mount_calls.h"
#include "backend/native/overlay.h"
#include "base/fd_message.h"

namespace cordon::backend::native {
namespace {

constexpr size_t kPart = 16 << 20;

// Holes stay holes: in memory they cost the command nothing.
Status Copy(int from, int to) {
  struct stat stat = {};
  if (fstat(from, &stat) != 0) return SystemError("fstat");
  off_t at = 0;
  while (at < stat.st_size) {
    at = lseek(from, at, SEEK_DATA);
    if (at < 0 && errno == ENXIO) break;
    const off_t end = at < 0 ? at : lseek(from, at, SEEK_HOLE);
    if (end < 0 || lseek(to, at, SEEK_SET) < 0) return SystemError("lseek");
    while (at < end) {
      const ssize_t moved =
          sendfile(to, from, &at, std::min<size_t>(kPart, static_cast<size_t>(end - at)));
      if (moved == 0) return Fail(ErrorCode::kInvalid, "it became shorter");
      if (moved < 0 && errno != EINTR) return SystemError("sendfile");
    }
  }
  if (ftruncate(to, stat.st_size) != 0) return SystemError("ftruncate");
  return {};
}

// Beside its name first, so that nobody sees a part of it.
Status TakeFile(const policy::Mount& mount, const OwnedFd& source) {
  const OwnedFd top(open(mount.beneath.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!top.valid()) return SystemError("open(" + mount.beneath + ", O_PATH)");
  const std::string path = mount.source.substr(mount.beneath.size() + 1);
  const size_t slash = path.rfind('/');
  const OwnedFd folder = OpenBeneath(
      top.get(), slash == std::string::npos ? "" : path.substr(0, slash), O_PATH | O_DIRECTORY);
  if (!folder.valid()) return SystemError("openat2(" + mount.source + ", RESOLVE_BENEATH)");
  const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  const std::string part = "." + name + ".cordon-" + std::to_string(getpid());
  const OwnedFd made(openat(folder.get(), part.c_str(),
                            O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!made.valid()) return SystemError("open(" + part + ", O_CREAT | O_EXCL)");
  Status taken = Copy(source.get(), made.get());
  // A link is not made over what has come meanwhile.
  if (taken && linkat(folder.get(), part.c_str(), folder.get(), name.c_str(), 0) != 0) {
    taken = SystemError("link(" + name + ")");
  }
  (void)unlinkat(folder.get(), part.c_str(), 0);
  return taken;
}

}  // namespace

Result<HandOver> HandOver::Make() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SystemError("socketpair(AF_UNIX)");
  }
  return HandOver{OwnedFd(ends[0]), OwnedFd(ends[1])};
}

Status Send(int socket, Handed what, int fd) {
  return SendWithFds(socket, BytesOf(what), {&fd, 1});
}

std::optional<Received> Receive(int socket) {
  Handed what = {};
  Result<FdMessage> message = ReceiveWithFds(socket, WritableBytesOf(what), MSG_DONTWAIT);
  if (!message || message->size == 0 || message->fds.size() != 1) return std::nullopt;
  return Received{what, std::move(message->fds.front())};
}

Status LetGo(int socket) {
  if (send(socket, "g", 1, MSG_NOSIGNAL) != 1) return SystemError("send(to the first process)");
  return {};
}

Status WaitForLetGo(int socket) {
  char tag = 0;
  if (recv(socket, &tag, 1, 0) != 1) return Fail(ErrorCode::kSystem, "the keeper has gone");
  return {};
}

std::vector<std::string> TakeStagedFiles(const policy::Plan& plan, int folder) {
  std::vector<std::string> lines;
  const std::vector<const policy::Mount*> files = StagedFiles(plan);
  for (size_t i = 0; i < files.size(); ++i) {
    const OwnedFd source =
        OpenBeneath(folder, StagedPath(*files[i], i), O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!source.valid() && errno == ENOENT) continue;
    if (!source.valid() || !HasType(source, policy::NodeType::kFile)) {
      lines.push_back(files[i]->source + ": not taken over: it is no file");
      continue;
    }
    if (const Status taken = TakeFile(*files[i], source); !taken) {
      lines.push_back(files[i]->source + ": not taken over: " + taken.error().ToString());
    }
  }
  return lines;
}

}  // namespace cordon::backend::native
