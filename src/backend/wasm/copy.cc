#include "backend/wasm/copy.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/owned_fd.h"

namespace cordon::backend {
namespace {

Status CopyFileIn(MailboxClient& mailbox, int fd, uint32_t mode, const std::string& to) {
  std::vector<char> bytes(MailboxClient::kMaxTransfer);
  for (uint64_t offset = 0;;) {
    const ssize_t got = pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0) return SystemError("pread()");
    if (got == 0 && offset > 0) return {};
    CORDON_TRY(mailbox.WriteFile(to, mode, offset, {bytes.data(), static_cast<size_t>(got)}));
    if (got == 0) return {};
    offset += static_cast<uint64_t>(got);
  }
}

// `at` beneath `directory`, whose path is `shown`; links are not followed below the first
// component.
Status CopyNodeIn(MailboxClient& mailbox, int directory, const std::string& at,
                  const std::string& shown, const std::string& to, int flags) {
  const OwnedFd fd(openat(directory, at.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags));
  if (!fd.valid()) return SystemError("openat(" + shown + ")");
  struct stat stat = {};
  if (fstat(fd.get(), &stat) != 0) return SystemError("fstat(" + shown + ")");
  if (S_ISREG(stat.st_mode)) return CopyFileIn(mailbox, fd.get(), stat.st_mode & 0777, to);
  if (!S_ISDIR(stat.st_mode))
    return Fail(ErrorCode::kUnsupported, "only files and directories are copied", shown);
  CORDON_TRY(mailbox.MakeDirectory(to, stat.st_mode & 0777));
  const int listed = dup(fd.get());
  if (listed < 0) return SystemError("dup()");
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(listed), closedir);
  if (listing == nullptr) return SystemError("fdopendir(" + shown + ")");
  std::vector<std::string> names;
  while (const dirent* entry = readdir(listing.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::ranges::sort(names);
  for (const std::string& name : names) {
    const std::string suffix = "/" + name;
    CORDON_TRY(CopyNodeIn(mailbox, fd.get(), name, shown + suffix, to + suffix, O_NOFOLLOW));
  }
  return {};
}

Status CopyFileOut(MailboxClient& mailbox, const CopyRequest& request) {
  std::vector<char> bytes(MailboxClient::kMaxTransfer);
  uint32_t mode = 0;
  Result<size_t> got = mailbox.ReadFile(request.from, 0, bytes, &mode);
  if (!got) return std::unexpected(got.error());
  // A new file takes the place of whatever has the name: nothing is written through a link that was
  // there.
  const std::string temporary = request.to + ".cordon-new";
  const OwnedFd fd(
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0777));
  if (!fd.valid()) return SystemError("open(" + temporary + ", O_CREAT | O_EXCL)");
  for (uint64_t offset = 0; *got > 0;) {
    for (size_t done = 0; done < *got;) {
      const ssize_t put = write(fd.get(), bytes.data() + done, *got - done);
      if (put < 0) return SystemError("write(" + temporary + ")");
      done += static_cast<size_t>(put);
    }
    offset += *got;
    got = mailbox.ReadFile(request.from, offset, bytes, &mode);
    if (!got) return std::unexpected(got.error());
  }
  if (rename(temporary.c_str(), request.to.c_str()) != 0)
    return SystemError("rename(" + temporary + ")");
  return {};
}

}  // namespace

Status CopyIn(MailboxClient& mailbox, const std::vector<CopyRequest>& requests) {
  for (const CopyRequest& request : requests) {
    const size_t slash = request.to.rfind('/');
    if (slash != std::string::npos && slash > 0)
      CORDON_TRY(mailbox.MakeDirectory(request.to.substr(0, slash), 0755));
    CORDON_TRY(CopyNodeIn(mailbox, AT_FDCWD, request.from, request.from, request.to, 0));
  }
  return {};
}

Status CopyOut(MailboxClient& mailbox, const std::vector<CopyRequest>& requests) {
  for (const CopyRequest& request : requests) CORDON_TRY(CopyFileOut(mailbox, request));
  return {};
}

}  // namespace cordon::backend
