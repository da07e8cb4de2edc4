#include "base/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/random_digits.h"
#include "base/write_all.h"

namespace cordon {
namespace {

constexpr mode_t kOwnerOnly = 0600;

constexpr size_t kDigits = 16;

}  // namespace

Result<NewFile> NewFile::In(int folder) {
  OwnedFd nameless(openat(folder, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, kOwnerOnly));
  if (nameless.valid()) return NewFile(folder, std::move(nameless), {});
  // What file systems without them answer.
  if (errno != EOPNOTSUPP && errno != EISDIR) return SystemError("openat(O_TMPFILE)");
  std::string name = ".new-" + RandomDigits(kDigits);
  OwnedFd named(openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       kOwnerOnly));
  if (!named.valid()) return SystemError("openat(" + name + ", O_CREAT | O_EXCL)");
  return NewFile(folder, std::move(named), std::move(name));
}

NewFile::NewFile(NewFile&& other) noexcept
    : folder_(other.folder_),
      fd_(std::move(other.fd_)),
      temporary_(std::exchange(other.temporary_, {})) {}

NewFile::~NewFile() {
  if (!temporary_.empty()) (void)unlinkat(folder_, temporary_.c_str(), 0);
}

Status NewFile::Name(const std::string& name) {
  // linkat(AT_EMPTY_PATH) wants a capability.
  const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
  if (linkat(AT_FDCWD, self.c_str(), folder_, name.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return SystemError("linkat(" + name + ")");
  }
  return {};
}

Status NewFile::Replace(const std::string& name) {
  Status named = Name(name);
  if (named || named.error().system_errno != EEXIST) return named;
  // One at most is left behind by who is killed between these calls, and the next removes it.
  const std::string beside = "." + name + ".new";
  constexpr int kTries = 3;  // beside another that does the same
  for (int i = 0; i < kTries; ++i) {
    (void)unlinkat(folder_, beside.c_str(), 0);
    named = Name(beside);
    if (!named && named.error().system_errno == EEXIST) continue;
    if (!named) return named;
    if (renameat(folder_, beside.c_str(), folder_, name.c_str()) == 0) return {};
    if (errno != ENOENT) return SystemError("renameat(" + name + ")");
  }
  return Fail(ErrorCode::kSystem, "others write it at the same time", name);
}

Status ReplaceFile(int folder, const std::string& name, std::string_view bytes, mode_t mode) {
  Result<NewFile> file = NewFile::In(folder);
  if (!file) return std::unexpected(file.error());
  CORDON_TRY(WriteAll(file->fd(), bytes, name));
  if (fchmod(file->fd(), mode) != 0) return SystemError("fchmod(" + name + ")");
  if (fsync(file->fd()) != 0) return SystemError("fsync(" + name + ")");
  return file->Replace(name);
}

Status ReplaceFile(const std::string& path, std::string_view bytes, mode_t mode) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const OwnedFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("open(" + folder + ")");
  return ReplaceFile(fd.get(), path.substr(slash == std::string::npos ? 0 : slash + 1), bytes,
                     mode);
}

}  // namespace cordon
