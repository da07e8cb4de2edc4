#include "packages/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/new_file.h"
#include "base/sha256.h"
#include "base/write_all.h"
#include "wasm/compile_cache.h"

namespace cordon::packages {
namespace {

constexpr off_t kMostBytes = off_t{512} << 20;

std::string FileOf(const std::string& hash) {
  return hash + ".wasm";
}

Result<OwnedFd> OpenFolder(int parent, const char* name) {
  constexpr mode_t kOthersWrite = 022;
  if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
    return SystemError(std::string("mkdirat(") + name + ", 0700)");
  }
  OwnedFd folder(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat stat = {};
  if (!folder.valid() || fstat(folder.get(), &stat) != 0) {
    return SystemError(std::string("openat(") + name + ", O_DIRECTORY | O_NOFOLLOW)");
  }
  if (stat.st_uid != geteuid() || (stat.st_mode & kOthersWrite) != 0) {
    return Fail(ErrorCode::kInvalid,
                "the cache folder is another user's, or others may write there", name);
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
  if (mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError("mkdir(" + parent + ", 0700)");
  }
  const OwnedFd base(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!base.valid()) return SystemError("open(" + parent + ", O_DIRECTORY)");
  const Result<OwnedFd> own = OpenFolder(base.get(), "cordon");
  if (!own) return std::unexpected(own.error());
  Result<OwnedFd> folder = OpenFolder(own->get(), "packages");
  if (!folder) return std::unexpected(folder.error());
  return Store(std::move(*folder));
}

Result<Store> Store::OpenDefault() {
  const Result<std::string> parent = wasm::CompileCache::DefaultParent();
  if (!parent) return std::unexpected(parent.error());
  return Open(*parent);
}

Result<std::vector<std::byte>> Store::Load(const std::string& hash) const {
  const OwnedFd fd(
      openat(folder_.get(), FileOf(hash).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return SystemError("openat(" + FileOf(hash) + ", O_NOFOLLOW)");
  struct stat stat = {};
  if (fstat(fd.get(), &stat) != 0) return SystemError("fstat(" + FileOf(hash) + ")");
  if (!S_ISREG(stat.st_mode) || stat.st_size > kMostBytes) {
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
    (void)unlinkat(folder_.get(), FileOf(hash).c_str(), 0);
    return Fail(ErrorCode::kCorrupt, "a cached package has another hash", hash);
  }
  return bytes;
}

Status Store::Save(const std::string& hash, std::span<const std::byte> module) const {
  Result<NewFile> file = NewFile::In(folder_.get());
  if (!file) return std::unexpected(file.error());
  CORDON_TRY(WriteAll(file->fd(), module, "package"));
  const Status named = file->Name(FileOf(hash));
  const bool is_there = !named && named.error().system_errno == EEXIST;
  if (!is_there) return named;
  // Another installation brought it, or it is damaged and has gone now.
  return Load(hash) ? Status() : file->Name(FileOf(hash));
}

}  // namespace cordon::packages
