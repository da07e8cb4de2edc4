#include "shadow/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <span>

namespace cordon::shadow {
namespace {

constexpr uint64_t kBeneath =
    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
constexpr size_t kMaxEntries = 5'000'000;
constexpr int kMaxTries = 16;
// File times are taken from a clock that moves once in one to ten milliseconds.
constexpr int64_t kClockStepNs = 50'000'000;
constexpr int64_t kSecondNs = 1'000'000'000;

OwnedFd OpenRaw(int directory, const std::string& path, uint64_t flags, uint32_t mode) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = kBeneath;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    OwnedFd fd(static_cast<int>(
        syscall(SYS_openat2, directory, path.empty() ? "." : path.c_str(), &how, sizeof how)));
    // EAGAIN: something was renamed during the look-up.
    if (fd.valid() || (errno != EAGAIN && errno != EINTR)) return fd;
  }
  return {};
}

// The same node by a descriptor that only names it.
std::string NameOfDescriptor(const OwnedFd& fd) {
  return "/proc/self/fd/" + std::to_string(fd.get());
}

int64_t Nanoseconds(const statx_timestamp& time) {
  return time.tv_sec * kSecondNs + time.tv_nsec;
}

NodeType TypeOf(uint16_t mode) {
  if (S_ISREG(mode)) return NodeType::kFile;
  if (S_ISDIR(mode)) return NodeType::kDirectory;
  return S_ISLNK(mode) ? NodeType::kLink : NodeType::kOther;
}

Stat MakeStat(const struct statx& raw) {
  Stat stat;
  stat.node.type = TypeOf(raw.stx_mode);
  stat.node.mode = raw.stx_mode & 07777;
  stat.node.size = stat.node.type == NodeType::kFile ? raw.stx_size : 0;
  stat.node.mtime_ns = Nanoseconds(raw.stx_mtime);
  stat.identity = {makedev(raw.stx_dev_major, raw.stx_dev_minor), raw.stx_ino, raw.stx_size,
                   stat.node.mtime_ns, Nanoseconds(raw.stx_ctime)};
  // A whole second is the mark of a file system that keeps no finer time: nothing is proved there.
  stat.identity.is_settled = stat.identity.ctime_ns % kSecondNs != 0 &&
                             stat.identity.ctime_ns < FileClockNs() - kClockStepNs;
  stat.allocated_bytes = raw.stx_blocks * 512;
  stat.device_number = makedev(raw.stx_rdev_major, raw.stx_rdev_minor);
  stat.links = raw.stx_nlink;
  stat.uid = raw.stx_uid;
  stat.gid = raw.stx_gid;
  stat.format = raw.stx_mode & S_IFMT;
  stat.is_mount_point = (raw.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  return stat;
}

constexpr unsigned kWanted = STATX_BASIC_STATS;

Result<std::string> ReadLinkAt(int folder, const std::string& name) {
  std::array<char, kMaxPath + 1> text;
  const ssize_t size = readlinkat(folder, name.c_str(), text.data(), text.size());
  if (size < 0) return SystemError("readlinkat(" + name + ")");
  return std::string(text.data(), static_cast<size_t>(size));
}

Result<std::vector<std::string>> ListNames(int folder) {
  OwnedFd copy(fcntl(folder, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return SystemError("fcntl(F_DUPFD_CLOEXEC)");
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(copy.get()), closedir);
  if (listing == nullptr) return SystemError("fdopendir");
  (void)copy.release();  // closedir closes it
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(listing.get());
    if (entry == nullptr && errno != 0) return SystemError("readdir");
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

int64_t FileClockNs() {
  timespec now = {};
  (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now.tv_sec * kSecondNs + now.tv_nsec;
}

std::string Join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

bool IsAtOrBelow(const std::string& path, const std::string& folder) {
  return folder.empty() || path == folder ||
         (path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/');
}

Result<std::optional<Stat>> LookAt(int folder, const std::string& name) {
  struct statx raw = {};
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_SYNC_AS_STAT;
  if (statx(folder, name.c_str(), flags, kWanted, &raw) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return SystemError("statx(" + name + ")");
  }
  Stat stat = MakeStat(raw);
  if (stat.node.type == NodeType::kLink) {
    Result<std::string> target = ReadLinkAt(folder, name);
    // It became something else, or nothing, in between.
    if (!target && (target.error().system_errno == EINVAL || target.error().system_errno == ENOENT))
      return std::nullopt;
    if (!target) return std::unexpected(target.error());
    stat.node.target = std::move(*target);
  }
  return stat;
}

Result<Stat> LookAtOpen(int fd) {
  struct statx raw = {};
  if (statx(fd, "", AT_EMPTY_PATH, kWanted, &raw) != 0) return SystemError("statx(AT_EMPTY_PATH)");
  return MakeStat(raw);
}

Result<Sha256::Digest> HashOpen(int fd) {
  constexpr size_t kPiece = 256 << 10;
  std::vector<std::byte> piece(kPiece);
  Sha256 hash;
  for (off_t at = 0;;) {
    const ssize_t got = pread(fd, piece.data(), piece.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("pread");
    if (got == 0) return hash.Finish();
    hash.Update(std::span<const std::byte>(piece).first(static_cast<size_t>(got)));
    at += got;
  }
}

Result<Tree> Tree::Open(const std::string& directory, Ownership ownership) {
  OwnedFd fd(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("open(" + directory + ")");
  return Tree(std::move(fd), directory, ownership);
}

Result<Tree> Tree::OpenBeneath(const Tree& above, const std::string& path) {
  Result<OwnedFd> fd = above.OpenAt(path, O_PATH | O_DIRECTORY);
  if (!fd) return std::unexpected(fd.error());
  return Tree(std::move(*fd), above.name_ + "/" + path, above.ownership_);
}

Result<OwnedFd> Tree::OpenAt(const std::string& path, uint64_t flags, uint32_t mode) const {
  if (path.size() > kMaxPath) {
    return SystemError("openat2(" + path.substr(0, 40) + "…)", ENAMETOOLONG);
  }
  OwnedFd fd = OpenRaw(directory_.get(), path, flags, mode);
  if (!fd.valid()) return SystemError("openat2(" + path + ", RESOLVE_BENEATH)");
  return fd;
}

Tree::~Tree() {
  for (size_t i = unlocked_.size(); i-- > 0;) {
    const Result<OwnedFd> node = OpenAt(unlocked_[i].path, O_PATH | O_DIRECTORY);
    if (node) (void)chmod(NameOfDescriptor(*node).c_str(), unlocked_[i].mode);
  }
}

// The command took the right to read or search away; what it made belongs to us.
void Tree::Unlock(const std::string& path) const {
  const Result<OwnedFd> node = OpenAt(path, O_PATH | O_DIRECTORY);
  const Result<Stat> stat = node ? LookAtOpen(node->get()) : std::unexpected(node.error());
  constexpr uint32_t kNeeded = S_IRUSR | S_IXUSR;
  if (!stat || (stat->node.mode & kNeeded) == kNeeded || stat->uid != geteuid()) return;
  if (chmod(NameOfDescriptor(*node).c_str(), stat->node.mode | kNeeded) == 0)
    unlocked_.push_back({path, stat->node.mode});
}

Result<OwnedFd> Tree::OpenLockedFile(const std::string& path, uint64_t flags) const {
  const Result<OwnedFd> node = OpenAt(path, O_PATH | O_NOFOLLOW);
  if (!node) return std::unexpected(node.error());
  const Result<Stat> stat = LookAtOpen(node->get());
  if (!stat || stat->node.type != NodeType::kFile || stat->uid != geteuid())
    return SystemError("openat2(" + path + ", RESOLVE_BENEATH)", EACCES);
  const std::string name = NameOfDescriptor(*node);
  if (chmod(name.c_str(), stat->node.mode | S_IRUSR) != 0)
    return SystemError("chmod(" + path + ")");
  Result<OwnedFd> fd = OpenAt(path, flags);
  if (chmod(name.c_str(), stat->node.mode) != 0) return SystemError("chmod(" + path + ")");
  return fd;
}

Result<OwnedFd> Tree::OpenDirectory(const std::string& path) const {
  if (ownership_ == Ownership::kOurs) Unlock(path);
  return OpenAt(path, O_RDONLY | O_DIRECTORY);
}

Result<OwnedFd> Tree::OpenFile(const std::string& path) const {
  // A FIFO would wait for a writer, a terminal would become ours.
  constexpr uint64_t kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  Result<OwnedFd> fd = OpenAt(path, kFlags);
  if (!fd && ownership_ == Ownership::kOurs && fd.error().system_errno == EACCES)
    fd = OpenLockedFile(path, kFlags);
  if (!fd) return fd;
  struct stat stat = {};
  if (fstat(fd->get(), &stat) != 0) return SystemError("fstat(" + path + ")");
  if (!S_ISREG(stat.st_mode)) return Fail(ErrorCode::kInvalid, "not a regular file", path);
  return fd;
}

Result<Place> Tree::OpenParent(const std::string& path) const {
  const std::string parent = ParentOf(path);
  Result<OwnedFd> folder = OpenAt(parent, O_PATH | O_DIRECTORY);
  if (!folder) return std::unexpected(folder.error());
  return Place{std::move(*folder), path.substr(parent.empty() ? 0 : parent.size() + 1)};
}

Result<std::optional<Stat>> Tree::Look(const std::string& path) const {
  const Result<Place> place = OpenParent(path);
  if (!place) {
    const int error = place.error().system_errno;
    if (error == ENOENT || error == ENOTDIR) return std::nullopt;
    return std::unexpected(place.error());
  }
  return LookAt(place->folder.get(), place->name);
}

Result<Sha256::Digest> Tree::Hash(const std::string& path) const {
  const Result<OwnedFd> fd = OpenFile(path);
  if (!fd) return std::unexpected(fd.error());
  return HashOpen(fd->get());
}

Result<std::string> Tree::Read(const std::string& path, size_t max_bytes) const {
  const Result<OwnedFd> fd = OpenFile(path);
  if (!fd) return std::unexpected(fd.error());
  std::string text;
  std::array<char, 65536> piece;
  for (;;) {
    const ssize_t got = read(fd->get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("read(" + path + ")");
    if (got == 0) return text;
    text.append(piece.data(), static_cast<size_t>(got));
    if (text.size() > max_bytes) return Fail(ErrorCode::kLimit, "too large", path);
  }
}

Status Walk(const Tree& tree, std::vector<Unseen>* unseen,
            const std::function<Result<Visit>(const Visited&)>& visit) {
  std::vector<std::string> folders = {""};
  size_t count = 0;
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    const Result<OwnedFd> fd = tree.OpenDirectory(folder);
    const Result<std::vector<std::string>> names =
        fd ? ListNames(fd->get()) : std::unexpected(fd.error());
    if (!names && folder.empty()) return std::unexpected(names.error());
    if (!names) {
      unseen->push_back({folder, names.error().ToString()});
      continue;
    }
    for (const std::string& name : *names) {
      if (++count > kMaxEntries) return Fail(ErrorCode::kLimit, "more than 5000000 files");
      Visited visited = {Join(folder, name), {}, fd->get(), name};
      if (visited.path.size() > kMaxPath) {
        unseen->push_back({visited.path, "its path is longer than 4095 bytes"});
        continue;
      }
      Result<std::optional<Stat>> stat = LookAt(fd->get(), name);
      if (!stat) return std::unexpected(stat.error());
      if (!*stat) continue;
      visited.stat = std::move(**stat);
      const bool is_folder = visited.stat.node.type == NodeType::kDirectory;
      const Result<Visit> next = visit(visited);
      if (!next) return std::unexpected(next.error());
      if (is_folder && *next == Visit::kEnter) folders.push_back(std::move(visited.path));
    }
  }
  return {};
}

}  // namespace cordon::shadow
