#include "live/host_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace cordon::live {
namespace {

using control::FileOp;

constexpr int64_t kNsInSecond = 1'000'000'000;
// Open files that are kept for what comes next, for so long: the name may be another file's then.
constexpr size_t kMostOpen = 8;
constexpr int64_t kOpenNs = 200'000'000;
constexpr size_t kLongestName = 255;

int64_t NowNs() {
  timespec now = {};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNsInSecond + now.tv_nsec;
}

int64_t NsOf(const timespec& time) {
  return time.tv_sec * kNsInSecond + time.tv_nsec;
}

timespec TimeOf(uint64_t ns) {
  auto seconds = static_cast<int64_t>(ns) / kNsInSecond;
  auto rest = static_cast<int64_t>(ns) % kNsInSecond;
  if (rest < 0) {
    rest += kNsInSecond;
    --seconds;
  }
  return {seconds, rest};
}

bool IsServed(mode_t mode) {
  return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode);
}

// 0, or -errno.
int Result0(int done) {
  return done == 0 ? 0 : -errno;
}

// A name of the kernel's own, by which a descriptor is opened once more with other rights: what it
// is was seen before, and no name is looked up again.
std::array<char, 32> MagicOf(int fd) {
  std::array<char, 32> path = {};
  (void)snprintf(path.data(), path.size(), "/proc/self/fd/%d", fd);
  return path;
}

// As getdents64(2) gives it.
struct KernelEntry {
  uint64_t inode;
  int64_t next;
  uint16_t size;
  uint8_t type;
  char name[];
};

mode_t TypeOf(int directory, const KernelEntry& entry) {
  if (entry.type != DT_UNKNOWN) return static_cast<mode_t>(entry.type) << 12;
  struct stat stat = {};
  return fstatat(directory, entry.name, &stat, AT_SYMLINK_NOFOLLOW) == 0 ? stat.st_mode & S_IFMT
                                                                         : 0;
}

}  // namespace

bool IsServedPath(std::string_view path) {
  if (path.empty()) return true;
  if (path.find('\0') != std::string_view::npos) return false;
  for (;;) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, end);
    if (name.empty() || name == "." || name == ".." || name.size() > kLongestName) return false;
    if (end == path.size()) return true;
    path.remove_prefix(end + 1);
  }
}

Result<HostDirectory> HostDirectory::Open(const std::string& path, Rights rights) {
  OwnedFd root(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return SystemError("open(" + path + ")");
  HostDirectory made(std::move(root), rights);
  // Before Linux 5.6 nothing keeps a path beneath a directory.
  const OwnedFd probe(made.OpenPath("", O_PATH | O_DIRECTORY));
  if (!probe.valid()) return SystemError("openat2(RESOLVE_BENEATH)");
  return made;
}

int HostDirectory::OpenPath(const std::string& path, uint64_t flags) const {
  open_how how = {};
  how.flags = flags | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  // With O_PATH a link as the last component is opened itself, otherwise refused.
  const char* name = path.empty() ? "." : path.c_str();
  for (;;) {
    const auto fd = static_cast<int>(syscall(SYS_openat2, root_.get(), name, &how, sizeof how));
    // Something below was renamed meanwhile: it is looked up again.
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return fd;
  }
}

int HostDirectory::OpenParent(const std::string& path, std::string* name) const {
  if (path.empty()) {
    errno = EBUSY;
    return -1;
  }
  const size_t slash = path.rfind('/');
  *name = slash == std::string::npos ? path : path.substr(slash + 1);
  return OpenPath(slash == std::string::npos ? "" : path.substr(0, slash), O_PATH | O_DIRECTORY);
}

void HostDirectory::Forget() {
  open_.clear();
}

int HostDirectory::Contents(const std::string& path, bool writes) {
  const int64_t now = NowNs();
  std::erase_if(open_, [now](const OpenFile& file) { return file.until_ns < now; });
  const auto kept = std::ranges::find_if(
      open_, [&](const OpenFile& file) { return file.writes == writes && file.path == path; });
  if (kept != open_.end()) return kept->fd.get();
  // Opened to look at first: opening a device or a pipe does something.
  const OwnedFd seen(OpenPath(path, O_PATH));
  if (!seen.valid()) return -errno;
  struct stat stat = {};
  if (fstat(seen.get(), &stat) != 0) return -errno;
  if (S_ISDIR(stat.st_mode)) return -EISDIR;
  if (!S_ISREG(stat.st_mode)) return -EACCES;
  OwnedFd fd(open(MagicOf(seen.get()).data(),
                  (writes ? O_WRONLY : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return -errno;
  if (open_.size() == kMostOpen) open_.pop_front();
  open_.push_back({path, writes, std::move(fd), now + kOpenNs});
  return open_.back().fd.get();
}

int64_t HostDirectory::Stat(const std::string& path, uint8_t* data) const {
  const OwnedFd fd(OpenPath(path, O_PATH));
  struct stat stat = {};
  if (!fd.valid() || fstat(fd.get(), &stat) != 0) return -errno;
  const control::FileFacts facts = {stat.st_mode & (S_IFMT | 0777),
                                    static_cast<uint32_t>(stat.st_nlink),
                                    static_cast<uint64_t>(stat.st_size),
                                    stat.st_ino,
                                    static_cast<uint64_t>(stat.st_blocks),
                                    NsOf(stat.st_mtim),
                                    NsOf(stat.st_ctim),
                                    NsOf(stat.st_atim)};
  memcpy(data, &facts, sizeof facts);
  return IsServed(stat.st_mode) ? 0 : -EACCES;
}

int64_t HostDirectory::ReadLink(const std::string& path, uint8_t* data) const {
  const OwnedFd fd(OpenPath(path, O_PATH));
  if (!fd.valid()) return -errno;
  const ssize_t size =
      readlinkat(fd.get(), "", reinterpret_cast<char*>(data), control::kMaxFilePath - 1);
  return size < 0 ? (errno == ENOENT ? -EINVAL : -errno) : size;
}

int64_t HostDirectory::List(const FileRequest& request, uint8_t* data) const {
  const OwnedFd fd(OpenPath(request.path, O_RDONLY | O_DIRECTORY));
  if (!fd.valid()) return -errno;
  if (request.offset != 0 && lseek(fd.get(), static_cast<off_t>(request.offset), SEEK_SET) < 0)
    return -errno;
  alignas(KernelEntry) std::array<std::byte, 4096> buffer;
  uint8_t* at = data;
  const uint8_t* end = data + std::min(request.count, control::kFileCallBytes);
  for (;;) {
    const auto got = syscall(SYS_getdents64, fd.get(), buffer.data(), buffer.size());
    if (got < 0) return -errno;
    if (got == 0) return at - data;
    for (long i = 0; i < got;) {
      const auto* entry = reinterpret_cast<const KernelEntry*>(buffer.data() + i);
      i += entry->size;
      const std::string_view name = entry->name;
      const mode_t type = TypeOf(fd.get(), *entry);
      if (name == "." || name == ".." || !IsServed(type)) continue;
      const control::FileEntry told = {static_cast<uint64_t>(entry->next), entry->inode, type,
                                       static_cast<uint32_t>(name.size())};
      if (end - at < static_cast<ptrdiff_t>(sizeof told + name.size())) return at - data;
      memcpy(at, &told, sizeof told);
      memcpy(at + sizeof told, name.data(), name.size());
      at += sizeof told + name.size();
    }
  }
}

int64_t HostDirectory::Space(uint8_t* data) const {
  struct statvfs space = {};
  if (fstatvfs(root_.get(), &space) != 0) return -errno;
  const control::FileSpace told = {space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize,
                                   space.f_files, space.f_favail};
  memcpy(data, &told, sizeof told);
  return 0;
}

FileReply HostDirectory::Write(const FileRequest& request, const uint8_t* data) {
  const int fd = Contents(request.path, true);
  if (fd < 0) return {fd, 0};
  auto offset = static_cast<off_t>(request.offset);
  if (request.offset == UINT64_MAX) offset = lseek(fd, 0, SEEK_END);
  if (offset < 0) return {-errno, 0};
  const ssize_t put = pwrite(fd, data, request.count, offset);
  if (put < 0) return {-errno, 0};
  return {put, static_cast<uint64_t>(offset + put)};
}

int64_t HostDirectory::Create(const FileRequest& request) const {
  std::string name;
  const OwnedFd parent(OpenParent(request.path, &name));
  if (!parent.valid()) return errno == EBUSY ? -EEXIST : -errno;
  // Never more than permissions: no program of the host gets another's rights by what is made here.
  const mode_t mode = request.argument & 0777;
  if (S_ISDIR(request.argument)) return Result0(mkdirat(parent.get(), name.c_str(), mode));
  if (!S_ISREG(request.argument)) return -EPERM;
  const OwnedFd made(openat(parent.get(), name.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  return made.valid() ? 0 : -errno;
}

int64_t HostDirectory::Rename(const FileRequest& request) {
  std::string from_name;
  std::string to_name;
  const OwnedFd from(OpenParent(request.path, &from_name));
  if (!from.valid()) return -errno;
  const OwnedFd to(OpenParent(request.second, &to_name));
  if (!to.valid()) return -errno;
  Forget();
  return Result0(renameat2(from.get(), from_name.c_str(), to.get(), to_name.c_str(),
                           request.argument != 0 ? RENAME_NOREPLACE : 0));
}

int64_t HostDirectory::Remove(const FileRequest& request) {
  std::string name;
  const OwnedFd parent(OpenParent(request.path, &name));
  if (!parent.valid()) return -errno;
  Forget();
  return Result0(unlinkat(parent.get(), name.c_str(),
                          request.op == FileOp::kRemoveDirectory ? AT_REMOVEDIR : 0));
}

int64_t HostDirectory::SetMode(const FileRequest& request) {
  const OwnedFd fd(OpenPath(request.path, O_PATH));
  struct stat stat = {};
  if (!fd.valid() || fstat(fd.get(), &stat) != 0) return -errno;
  if (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode)) return -EOPNOTSUPP;
  Forget();
  return Result0(chmod(MagicOf(fd.get()).data(), request.argument & 0777));
}

int64_t HostDirectory::SetTimes(const FileRequest& request) const {
  const OwnedFd fd(OpenPath(request.path, O_PATH));
  struct stat stat = {};
  if (!fd.valid() || fstat(fd.get(), &stat) != 0) return -errno;
  if (!S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode)) return -EOPNOTSUPP;
  const timespec times[2] = {TimeOf(request.offset), TimeOf(request.argument)};
  return Result0(utimensat(AT_FDCWD, MagicOf(fd.get()).data(), times, 0));
}

FileReply HostDirectory::Change(const FileRequest& request, const uint8_t* data) {
  if (rights_ != Rights::kReadWrite) return {-EROFS, 0};
  switch (request.op) {
    case FileOp::kWrite:
      return Write(request, data);
    case FileOp::kCreate:
      return {Create(request), 0};
    case FileOp::kSymlink: {
      std::string name;
      const OwnedFd parent(OpenParent(request.path, &name));
      if (!parent.valid()) return {errno == EBUSY ? -EEXIST : -errno, 0};
      return {Result0(symlinkat(request.second.c_str(), parent.get(), name.c_str())), 0};
    }
    case FileOp::kRemoveFile:
    case FileOp::kRemoveDirectory:
      return {Remove(request), 0};
    case FileOp::kRename:
      return {Rename(request), 0};
    case FileOp::kTruncate: {
      const int fd = Contents(request.path, true);
      return {fd < 0 ? fd : Result0(ftruncate(fd, static_cast<off_t>(request.offset))), 0};
    }
    case FileOp::kSetMode:
      return {SetMode(request), 0};
    case FileOp::kSetTimes:
      return {SetTimes(request), 0};
    default:
      return {-ENOSYS, 0};
  }
}

FileReply HostDirectory::Answer(const FileRequest& request, uint8_t* data) {
  switch (request.op) {
    case FileOp::kStat:
      return {Stat(request.path, data), 0};
    case FileOp::kReadLink:
      return {ReadLink(request.path, data), 0};
    case FileOp::kRead: {
      const int fd = Contents(request.path, false);
      if (fd < 0) return {fd, 0};
      const ssize_t got = pread(fd, data, request.count, static_cast<off_t>(request.offset));
      return {got < 0 ? -errno : got, 0};
    }
    case FileOp::kList:
      return {List(request, data), 0};
    case FileOp::kSpace:
      return {Space(data), 0};
    default:
      return Change(request, data);
  }
}

}  // namespace cordon::live
