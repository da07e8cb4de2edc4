#include "backend/wasm/copy.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/owned_fd.h"
#include "base/write_all.h"

namespace cordon::backend {
namespace {

constexpr int kMaxDepth = 256;

class MailboxFiles final : public GuestFiles {
 public:
  explicit MailboxFiles(Mailbox& mailbox) : mailbox_(mailbox) {}
  Status MakeDirectory(const std::string& path, uint32_t mode) override {
    return mailbox_.MakeDirectory(path, mode);
  }
  Status WriteFile(const std::string& path, uint32_t mode, uint64_t offset,
                   std::span<const char> bytes) override {
    return mailbox_.WriteFile(path, mode, offset, bytes);
  }
  Status MakeSymlink(const std::string& target, const std::string& path) override {
    return mailbox_.MakeSymlink(target, path);
  }
  Result<std::vector<std::byte>> ReadFile(const std::string& path, uint64_t offset) override {
    return mailbox_.ReadFile(path, offset);
  }
  Result<GuestStat> ReadStat(const std::string& path) override { return mailbox_.ReadStat(path); }
  Result<std::vector<GuestEntry>> ListDirectory(const std::string& path) override {
    return mailbox_.ListDirectory(path);
  }

 private:
  Mailbox& mailbox_;
};

struct HostName {
  int directory;
  std::string name;
  std::string shown;  // for messages
};

Status CopyFileIn(GuestFiles& files, int fd, uint32_t mode, const std::string& to) {
  std::vector<char> bytes(Mailbox::kMaxTransfer);
  for (uint64_t offset = 0;;) {
    const ssize_t got = pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0) return SystemError("pread()");
    if (got == 0 && offset > 0) return {};
    CORDON_TRY(files.WriteFile(to, mode, offset, {bytes.data(), static_cast<size_t>(got)}));
    if (got == 0) return {};
    offset += static_cast<uint64_t>(got);
  }
}

Result<std::vector<std::string>> ListHostDirectory(int fd, const std::string& shown) {
  OwnedFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return SystemError("fcntl(F_DUPFD_CLOEXEC)");
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(copy.get()), closedir);
  if (listing == nullptr) return SystemError("fdopendir(" + shown + ")");
  (void)copy.release();  // closedir closes it
  std::vector<std::string> names;
  while (const dirent* entry = readdir(listing.get())) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

Status CopyNodeIn(GuestFiles& files, const HostName& from, const std::string& to, int follow) {
  char target[4096];
  const ssize_t size = follow == O_NOFOLLOW
                           ? readlinkat(from.directory, from.name.c_str(), target, sizeof target)
                           : -1;
  if (size >= 0) return files.MakeSymlink({target, static_cast<size_t>(size)}, to);
  const OwnedFd fd(
      openat(from.directory, from.name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | follow));
  if (!fd.valid()) return SystemError("openat(" + from.shown + ")");
  struct stat stat = {};
  if (fstat(fd.get(), &stat) != 0) return SystemError("fstat(" + from.shown + ")");
  if (S_ISREG(stat.st_mode)) return CopyFileIn(files, fd.get(), stat.st_mode & 0777, to);
  if (!S_ISDIR(stat.st_mode)) {
    return Fail(ErrorCode::kUnsupported, "only files, directories and links are copied",
                from.shown);
  }
  CORDON_TRY(files.MakeDirectory(to, stat.st_mode & 0777));
  const Result<std::vector<std::string>> names = ListHostDirectory(fd.get(), from.shown);
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    const std::string below = "/" + name;
    CORDON_TRY(CopyNodeIn(files, {fd.get(), name, from.shown + below}, to + below, O_NOFOLLOW));
  }
  return {};
}

// One component, beneath `directory`, and never through a link: the guest chose the name.
Result<OwnedFd> OpenBeneath(const HostName& at, uint64_t flags, uint64_t mode) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC | O_NOFOLLOW;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  OwnedFd fd(
      static_cast<int>(syscall(SYS_openat2, at.directory, at.name.c_str(), &how, sizeof how)));
  if (!fd.valid()) return SystemError("openat2(" + at.shown + ", RESOLVE_BENEATH)");
  return fd;
}

bool IsComponent(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
}

// A new file takes the place of whatever has the name: nothing is written through a link, a FIFO or
// into a file that has other names.
Status CopyFileOut(GuestFiles& files, const std::string& from, uint32_t mode, const HostName& to) {
  const HostName temporary = {to.directory, to.name + ".cordon-new", to.shown + ".cordon-new"};
  const Result<OwnedFd> fd = OpenBeneath(temporary, O_WRONLY | O_CREAT | O_EXCL, mode & 0777);
  if (!fd) return std::unexpected(fd.error());
  Status copied;
  for (uint64_t offset = 0;;) {
    const Result<std::vector<std::byte>> part = files.ReadFile(from, offset);
    copied =
        part ? WriteAll(fd->get(), *part, temporary.shown) : Status(std::unexpected(part.error()));
    if (!copied || part->empty()) break;
    offset += part->size();
  }
  if (copied &&
      renameat(to.directory, temporary.name.c_str(), to.directory, to.name.c_str()) != 0) {
    copied = SystemError("renameat(" + to.shown + ")");
  }
  if (!copied) (void)unlinkat(to.directory, temporary.name.c_str(), 0);
  return copied;
}

Status MakeLinkOut(const std::string& target, const HostName& to) {
  // Where it leads is not our business: it is made, and never followed.
  if (symlinkat(target.c_str(), to.directory, to.name.c_str()) != 0) {
    return SystemError("symlinkat(" + to.shown + ")");
  }
  return {};
}

Status CopyNodeOut(GuestFiles& files, const std::string& from, const HostName& to, int depth,
                   std::vector<std::string>& skipped) {
  if (depth > kMaxDepth) return Fail(ErrorCode::kLimit, "directories nested too deeply", from);
  const Result<GuestStat> stat = files.ReadStat(from);
  if (!stat) return std::unexpected(stat.error());
  // Set-id bits are the guest's and mean nothing good outside.
  const uint32_t mode = stat->mode & 0777;
  if (S_ISREG(stat->mode)) return CopyFileOut(files, from, mode, to);
  if (S_ISLNK(stat->mode)) return MakeLinkOut(stat->link_target, to);
  if (!S_ISDIR(stat->mode)) {
    skipped.push_back(from);
    return {};
  }
  if (mkdirat(to.directory, to.name.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError("mkdirat(" + to.shown + ")");
  }
  const Result<OwnedFd> directory = OpenBeneath(to, O_RDONLY | O_DIRECTORY, 0);
  if (!directory) return std::unexpected(directory.error());
  const Result<std::vector<GuestEntry>> entries = files.ListDirectory(from);
  if (!entries) return std::unexpected(entries.error());
  for (const GuestEntry& entry : *entries) {
    if (entry.name == "." || entry.name == "..") continue;
    if (!IsComponent(entry.name)) {
      return Fail(ErrorCode::kCorrupt, "the sandbox names a file '" + entry.name + "'", from);
    }
    CORDON_TRY(CopyNodeOut(files, from + "/" + entry.name,
                           {directory->get(), entry.name, to.shown + "/" + entry.name}, depth + 1,
                           skipped));
  }
  if (fchmod(directory->get(), mode | 0700) != 0) return SystemError("fchmod(" + to.shown + ")");
  return {};
}

}  // namespace

Status CopyIn(GuestFiles& files, const std::vector<CopyRequest>& requests) {
  for (const CopyRequest& request : requests) {
    const size_t slash = request.to.rfind('/');
    if (slash != std::string::npos && slash > 0) {
      CORDON_TRY(files.MakeDirectory(request.to.substr(0, slash), 0755));
    }
    CORDON_TRY(CopyNodeIn(files, {AT_FDCWD, request.from, request.from}, request.to, 0));
  }
  return {};
}

Result<std::vector<std::string>> CopyOut(GuestFiles& files,
                                         const std::vector<CopyRequest>& requests) {
  std::vector<std::string> skipped;
  for (const CopyRequest& request : requests) {
    const size_t slash = request.to.find_last_not_of('/') == std::string::npos
                             ? std::string::npos
                             : request.to.rfind('/', request.to.find_last_not_of('/'));
    const std::string folder =
        slash == std::string::npos ? "." : request.to.substr(0, std::max<size_t>(slash, 1));
    std::string name = slash == std::string::npos ? request.to : request.to.substr(slash + 1);
    while (name.ends_with('/')) name.pop_back();
    if (!IsComponent(name)) return Fail(ErrorCode::kInvalid, "no name for a file", request.to);
    // The user named the folder: links in its path are his.
    const OwnedFd directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) return SystemError("open(" + folder + ")");
    const Status copied =
        CopyNodeOut(files, request.from, {directory.get(), name, request.to}, 0, skipped);
    if (!copied) return std::unexpected(copied.error());
  }
  return skipped;
}

Status CopyIn(Mailbox& mailbox, const std::vector<CopyRequest>& requests) {
  MailboxFiles files(mailbox);
  return CopyIn(files, requests);
}

Result<std::vector<std::string>> CopyOut(Mailbox& mailbox,
                                         const std::vector<CopyRequest>& requests) {
  MailboxFiles files(mailbox);
  return CopyOut(files, requests);
}

}  // namespace cordon::backend
