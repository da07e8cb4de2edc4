#include "pkg/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"

namespace cordon::pkg {
namespace {

constexpr off_t kMostBytes = off_t{512} << 20;

std::string NameOf(const std::string& hash) {
  return hash + ".wasm";
}

// No link, this user's, nobody else's to write.
Result<OwnedFd> OpenFolder(int parent, const char* name) {
  if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
    return SystemError(std::string("mkdirat(") + name + ")");
  }
  OwnedFd folder(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat stat = {};
  if (!folder.valid() || fstat(folder.get(), &stat) != 0) {
    return SystemError(std::string("openat(") + name + ", O_NOFOLLOW)");
  }
  if (stat.st_uid != geteuid() || (stat.st_mode & 022) != 0) {
    return Fail(ErrorCode::kInvalid, "the cache folder is another user's, or others may write there", name);
  }
  return folder;
}

}  // namespace

std::string HashOf(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return Sha256::Hex(hash.Finish());
}

Result<Store> Store::Open(const std::string& parent) {
  if (mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST) return SystemError("mkdir(" + parent + ")");
  const OwnedFd base(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!base.valid()) return SystemError("open(" + parent + ")");
  const Result<OwnedFd> own = OpenFolder(base.get(), "cordon");
  if (!own) return std::unexpected(own.error());
  Result<OwnedFd> folder = OpenFolder(own->get(), "packages");
  if (!folder) return std::unexpected(folder.error());
  return Store(std::move(*folder));
}

Result<std::vector<std::byte>> Store::Load(const std::string& hash) const {
  const OwnedFd fd(openat(folder_.get(), NameOf(hash).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return SystemError("openat(" + NameOf(hash) + ")");
  struct stat stat = {};
  if (fstat(fd.get(), &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_size > kMostBytes) {
    return Fail(ErrorCode::kCorrupt, "a cached package is no module", hash);
  }
  std::vector<std::byte> bytes(static_cast<size_t>(stat.st_size));
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got = read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Fail(ErrorCode::kCorrupt, "a cached package was cut", hash);
    done += static_cast<size_t>(got);
  }
  if (HashOf(bytes) != hash) {
    // It makes room for the right one.
    (void)unlinkat(folder_.get(), NameOf(hash).c_str(), 0);
    return Fail(ErrorCode::kCorrupt, "a cached package has another hash", hash);
  }
  return bytes;
}

Status Store::Save(const std::string& hash, std::span<const std::byte> module) const {
  const std::string temporary = ".new-" + std::to_string(getpid());
  const OwnedFd fd(openat(folder_.get(), temporary.c_str(),
                          O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return SystemError("openat(" + temporary + ")");
  Status saved;
  while (saved && !module.empty()) {
    const ssize_t put = write(fd.get(), module.data(), module.size());
    if (put < 0 && errno != EINTR) saved = SystemError("write(" + temporary + ")");
    if (put > 0) module = module.subspan(static_cast<size_t>(put));
  }
  if (saved && renameat(folder_.get(), temporary.c_str(), folder_.get(), NameOf(hash).c_str()) != 0) {
    saved = SystemError("renameat(" + NameOf(hash) + ")");
  }
  if (!saved) (void)unlinkat(folder_.get(), temporary.c_str(), 0);
  return saved;
}

}  // namespace cordon::pkg
