#include "shadow/remove.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "base/owned_fd.h"

namespace cordon::shadow {
namespace {

// A single name, not through a link and not into another file system.
OwnedFd OpenFolder(int above, const std::string& name) {
  open_how how = {};
  how.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return OwnedFd(static_cast<int>(syscall(SYS_openat2, above, name.c_str(), &how, sizeof how)));
}

// For listing and changing, whatever its mode is.
Result<OwnedFd> OpenWithRights(int above, const std::string& name) {
  const OwnedFd node = OpenFolder(above, name);
  if (!node.valid()) return SystemError("openat2(" + name + ", RESOLVE_BENEATH)");
  // A directory of ours may have any mode; fchmod does not take a descriptor that only names.
  (void)chmod(("/proc/self/fd/" + std::to_string(node.get())).c_str(), 0700);
  OwnedFd fd(openat(node.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("openat(" + name + ")");
  return fd;
}

Result<std::vector<std::string>> ListNames(const OwnedFd& fd) {
  OwnedFd copy(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(copy.get()), closedir);
  if (listing == nullptr) return SystemError("fdopendir");
  (void)copy.release();  // closedir closes it
  std::vector<std::string> names;
  while (const dirent* entry = readdir(listing.get())) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  return names;
}

// Everything in `fd` but directories goes; directories that are not empty are moved up into `pit`
// under a number, so that no depth is too deep.
Status Empty(const OwnedFd& fd, int pit, size_t* next, std::vector<std::string>* waiting) {
  const Result<std::vector<std::string>> names = ListNames(fd);
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    if (unlinkat(fd.get(), name.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) return SystemError("unlinkat(" + name + ")");
    if (unlinkat(fd.get(), name.c_str(), AT_REMOVEDIR) == 0) continue;
    // Only who may write a directory can move it to another parent: its `..` changes.
    const Result<OwnedFd> opened = OpenWithRights(fd.get(), name);
    if (!opened) return std::unexpected(opened.error());
    std::string moved;
    do {
      moved = std::to_string((*next)++);
    } while (faccessat(pit, moved.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    if (renameat(fd.get(), name.c_str(), pit, moved.c_str()) != 0)
      return SystemError("renameat(" + name + ")");
    waiting->push_back(std::move(moved));
  }
  return {};
}

Status EmptyPit(int pit, std::vector<std::string> waiting) {
  size_t next = 0;
  while (!waiting.empty()) {
    const std::string name = std::move(waiting.back());
    waiting.pop_back();
    const Result<OwnedFd> fd = OpenWithRights(pit, name);
    if (!fd) return std::unexpected(fd.error());
    CORDON_TRY(Empty(*fd, pit, &next, &waiting));
    if (unlinkat(pit, name.c_str(), AT_REMOVEDIR) != 0)
      return SystemError("unlinkat(" + name + ", AT_REMOVEDIR)");
  }
  return {};
}

}  // namespace

Status RemoveTree(int folder, const std::string& name) {
  const std::string pit = name + kRemovalSuffix;
  if (mkdirat(folder, pit.c_str(), 0700) != 0 && errno != EEXIST)
    return SystemError("mkdirat(" + pit + ")");
  const Result<OwnedFd> fd = OpenWithRights(folder, pit);
  if (!fd) return std::unexpected(fd.error());
  const OwnedFd top = OpenFolder(folder, name);
  if (!top.valid() && errno != ENOENT) return SystemError("openat2(" + name + ", RESOLVE_BENEATH)");
  if (top.valid()) {
    if (const Result<OwnedFd> opened = OpenWithRights(folder, name); !opened)
      return std::unexpected(opened.error());
    if (renameat(folder, name.c_str(), fd->get(), "top") != 0)
      return SystemError("renameat(" + name + ")");
  }
  // With what a removal left that did not come to its end.
  const Result<std::vector<std::string>> waiting = ListNames(*fd);
  if (!waiting) return std::unexpected(waiting.error());
  CORDON_TRY(EmptyPit(fd->get(), *waiting));
  if (unlinkat(folder, pit.c_str(), AT_REMOVEDIR) != 0) return SystemError("unlinkat(" + pit + ")");
  return {};
}

}  // namespace cordon::shadow
