#include "archive/image_folders.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "archive/oci_names.h"
#include "base/owned_fd.h"

namespace cordon::archive {
namespace {

constexpr const char* kBlobs[] = {"blobs", "sha256"};

OwnedFd OpenFolder(int at, const char* name) {
  return OwnedFd(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

bool IsOurs(const OwnedFd& folder, struct stat* stat) {
  return fstat(folder.get(), stat) == 0 && stat->st_uid == geteuid() && (stat->st_mode & 077) == 0;
}

std::vector<std::string> NamesIn(const OwnedFd& folder) {
  std::vector<std::string> names;
  OwnedFd own = OpenFolder(folder.get(), ".");
  if (!own.valid()) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(own.release()), closedir);
  while (const dirent* entry = entries ? readdir(entries.get()) : nullptr) {
    if (std::string_view(entry->d_name) != "." && std::string_view(entry->d_name) != "..")
      names.emplace_back(entry->d_name);
  }
  std::ranges::sort(names);
  return names;
}

OwnedFd BlobsOf(const OwnedFd& folder) {
  const OwnedFd outer = OpenFolder(folder.get(), kBlobs[0]);
  return outer.valid() ? OpenFolder(outer.get(), kBlobs[1]) : OwnedFd();
}

uint64_t BytesIn(const OwnedFd& folder) {
  uint64_t bytes = 0;
  for (const std::string& name : NamesIn(folder)) {
    struct stat stat = {};
    if (fstatat(folder.get(), name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(stat.st_mode)) {
      bytes += static_cast<uint64_t>(stat.st_size);
    }
  }
  return bytes;
}

using FileId = std::pair<dev_t, ino_t>;

// What flock(2) holds, by proc_locks(5): to try each would be in the way of who opens one just now.
std::set<FileId> LockedFiles() {
  std::set<FileId> locked;
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    unsigned major_number = 0;
    unsigned minor_number = 0;
    unsigned long long inode = 0;
    if (sscanf(line.c_str(), "%*s FLOCK %*s %*s %*s %x:%x:%llu", &major_number, &minor_number,
               &inode) == 3) {
      locked.emplace(makedev(major_number, minor_number), inode);
    }
  }
  return locked;
}

Status RemoveFrom(const OwnedFd& folder, const std::string& path) {
  for (const std::string& name : NamesIn(folder)) {
    if (unlinkat(folder.get(), name.c_str(), 0) != 0 && errno != EISDIR) {
      std::string place = path;
      place.append("/").append(name);
      return SystemError("unlink(" + place + ")");
    }
  }
  return {};
}

}  // namespace

Result<std::vector<SavedImage>> ListImageFolders(const std::string& path) {
  std::vector<SavedImage> images;
  const OwnedFd top = OpenFolder(AT_FDCWD, path.c_str());
  if (!top.valid()) {
    if (errno == ENOENT) return images;
    return SystemError("open(" + path + ")");
  }
  const std::set<FileId> locked = LockedFiles();
  for (const std::string& name : NamesIn(top)) {
    const OwnedFd folder = OpenFolder(top.get(), name.c_str());
    struct stat stat = {};
    struct stat index = {};
    if (!folder.valid() || !IsOurs(folder, &stat)) continue;
    if (fstatat(folder.get(), oci::kIndexFile, &index, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const OwnedFd blobs = BlobsOf(folder);
    const auto saved = std::chrono::seconds(index.st_mtim.tv_sec) +
                       std::chrono::nanoseconds(index.st_mtim.tv_nsec);
    images.push_back({name, BytesIn(folder) + (blobs.valid() ? BytesIn(blobs) : 0),
                      std::chrono::system_clock::time_point(saved),
                      locked.contains({stat.st_dev, stat.st_ino})});
  }
  return images;
}

Status RemoveImageFolder(const std::string& path, const std::string& name) {
  const std::string place = path + "/" + name;
  const OwnedFd top = OpenFolder(AT_FDCWD, path.c_str());
  if (!top.valid()) return SystemError("open(" + path + ")");
  const OwnedFd folder = OpenFolder(top.get(), name.c_str());
  if (!folder.valid()) return SystemError("open(" + place + ")");
  struct stat stat = {};
  if (!IsOurs(folder, &stat)) {
    return Fail(ErrorCode::kInvalid, "must belong to this user alone (mode 0700)", place);
  }
  if (flock(folder.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SystemError("flock(" + place + ")");
    return Fail(ErrorCode::kInvalid, "a sandbox has this namespace", place);
  }
  // The index first: what is left by whoever is killed in between is no image.
  if (unlinkat(folder.get(), oci::kIndexFile, 0) != 0 && errno != ENOENT) {
    return SystemError("unlink(" + place + ")");
  }
  if (const OwnedFd blobs = BlobsOf(folder); blobs.valid()) CORDON_TRY(RemoveFrom(blobs, place));
  if (const OwnedFd outer = OpenFolder(folder.get(), kBlobs[0]); outer.valid()) {
    (void)unlinkat(outer.get(), kBlobs[1], AT_REMOVEDIR);
    (void)unlinkat(folder.get(), kBlobs[0], AT_REMOVEDIR);
  }
  CORDON_TRY(RemoveFrom(folder, place));
  if (unlinkat(top.get(), name.c_str(), AT_REMOVEDIR) != 0) {
    return SystemError("rmdir(" + place + ")");
  }
  return {};
}

}  // namespace cordon::archive
