#include "base/new_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace cordon {
namespace {

constexpr mode_t kOwnerOnly = 0600;

// Nobody else writes to a file that has this name.
Result<std::string> TemporaryName() {
  uint64_t number = 0;
  if (getrandom(&number, sizeof number, 0) != sizeof number) return SystemError("getrandom");
  std::array<char, 24> text = {};
  (void)snprintf(text.data(), text.size(), ".new-%016llx", static_cast<unsigned long long>(number));
  return std::string(text.data());
}

}  // namespace

Result<NewFile> NewFile::In(int folder) {
  OwnedFd nameless(openat(folder, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, kOwnerOnly));
  if (nameless.valid()) return NewFile(folder, std::move(nameless), {});
  // What file systems without them answer.
  if (errno != EOPNOTSUPP && errno != EISDIR) return SystemError("openat(O_TMPFILE)");
  Result<std::string> name = TemporaryName();
  if (!name) return std::unexpected(name.error());
  OwnedFd named(openat(folder, name->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       kOwnerOnly));
  if (!named.valid()) return SystemError("openat(" + *name + ", O_CREAT | O_EXCL)");
  return NewFile(folder, std::move(named), std::move(*name));
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

}  // namespace cordon
