#include "backend/native/prepared_root.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>
#include <vector>

#include "backend/native/mount_calls.h"
#include "backend/native/skeleton.h"
#include "base/write_all.h"
#include "policy/surroundings.h"

namespace cordon::backend::native {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNewPrefix = ".new-";
constexpr const char* kOldPrefix = ".old-";
// Another number, other contents for the same description.
constexpr const char* kVersion = "1 ";
constexpr size_t kKept = 8;
constexpr const char* kDescription = "description";
constexpr const char* kRoot = "root";
constexpr mode_t kOwnersMode = 0700;
constexpr mode_t kRootMode = 0755;
constexpr mode_t kModeBits = 07777;

std::string PathOf(const std::string& cache_folder, const std::string& name) {
  std::string path = cache_folder;
  return path.append(policy::kPreparedRoots).append("/").append(name);
}

bool IsOwners(const struct stat& stat, mode_t mode) {
  return S_ISDIR(stat.st_mode) && stat.st_uid == geteuid() && (stat.st_mode & kModeBits) == mode;
}

// What was written before the machine went down may not be what is on the disk now.
std::string BootId() {
  const OwnedFd file(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text;
  const ssize_t size = file.valid() ? read(file.get(), text.data(), text.size()) : 0;
  return {text.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))};
}

std::optional<std::string> Describe(const policy::Plan& plan, const Identity& identity) {
  std::optional<std::string> text = DescribeSkeleton(plan, identity);
  const std::string boot = BootId();
  if (!text || boot.empty()) return std::nullopt;
  return text->insert(0, kVersion + boot);
}

// Short; what it stands for is compared. (A hash of which that is not needed asks the processor
// what it is first, which takes longer in a virtual machine.)
std::string NameOf(const std::string& description) {
  std::array<char, 17> text;
  (void)snprintf(text.data(), text.size(), "%016zx", std::hash<std::string>()(description));
  return text.data();
}

bool Describes(int kept, const std::string& description) {
  const OwnedFd file(OpenBeneath(kept, kDescription, O_RDONLY | O_NOFOLLOW));
  std::string text;
  text.resize_and_overwrite(description.size() + 1, [&](char* bytes, size_t size) {
    const ssize_t had = file.valid() ? read(file.get(), bytes, size) : 0;
    return had < 0 ? size_t{0} : static_cast<size_t>(had);
  });
  return text == description;
}

// The folder of all of them, which nobody else can look into.
OwnedFd OpenFolder(const std::string& cache_folder) {
  const std::string path = cache_folder + policy::kPreparedRoots;
  OwnedFd folder(open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat stat = {};
  if (!folder.valid() || fstat(folder.get(), &stat) != 0 || !IsOwners(stat, kOwnersMode)) return {};
  return folder;
}

// In a folder of this user's, or below one that is the machine's: whoever is root in another's home
// leaves nothing there that its owner cannot use.
bool MakeFolder(const std::string& cache_folder) {
  std::string there = cache_folder;
  struct stat stat = {};
  while (::stat(there.c_str(), &stat) != 0) {
    if (errno != ENOENT || there.rfind('/') == std::string::npos) return false;
    there.resize(there.rfind('/'));
    if (there.empty()) there = "/";
  }
  if (stat.st_uid != geteuid() && stat.st_uid != 0) return false;
  for (size_t at = there.size(); at != std::string::npos && at < cache_folder.size();) {
    at = cache_folder.find('/', at + 1);
    if (mkdir(cache_folder.substr(0, at).c_str(), kOwnersMode) != 0 && errno != EEXIST)
      return false;
  }
  const std::string folder = cache_folder + policy::kPreparedRoots;
  return mkdir(folder.c_str(), kOwnersMode) == 0 || errno == EEXIST;
}

// Locked, so that it stays while this process has it.
OwnedFd Hold(int folder, const std::string& name, int lock) {
  OwnedFd root(OpenBeneath(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  struct stat held = {};
  struct stat named = {};
  if (!root.valid() || flock(root.get(), lock | LOCK_NB) != 0 || fstat(root.get(), &held) != 0 ||
      fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 ||
      held.st_ino != named.st_ino || held.st_dev != named.st_dev) {
    return {};
  }
  return root;
}

void Remove(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

// Those with the longest time since they were made, but `kept`, and what killed processes left.
size_t RemoveBut(size_t kept, const std::string& cache_folder, Removal removal) {
  const OwnedFd folder = OpenFolder(cache_folder);
  if (!folder.valid()) return 0;
  std::vector<std::pair<int64_t, std::string>> roots;
  std::error_code ignored;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(cache_folder + policy::kPreparedRoots, ignored)) {
    struct stat stat = {};
    const std::string name = entry.path().filename();
    if (fstatat(folder.get(), name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0) {
      constexpr int64_t kNanoseconds = 1'000'000'000;
      const int64_t made = int64_t{stat.st_ctim.tv_sec} * kNanoseconds + stat.st_ctim.tv_nsec;
      roots.emplace_back(name.starts_with('.') ? 0 : made, name);
    }
  }
  std::ranges::sort(roots);
  size_t removed = 0;
  size_t in_work = 0;  // they come first, and are no roots yet
  for (const auto& [made, name] : roots) {
    if (removed + in_work + kept >= roots.size()) break;
    const OwnedFd held = Hold(folder.get(), name, LOCK_EX);
    if (!held.valid()) {
      in_work += name.starts_with('.') ? 1 : 0;
      continue;
    }
    ++removed;
    if (removal == Removal::kCount) continue;
    const std::string old = name.starts_with(kOldPrefix) ? name : kOldPrefix + name;
    if (renameat(folder.get(), name.c_str(), folder.get(), old.c_str()) != 0) continue;
    Remove(PathOf(cache_folder, old));
  }
  return removed;
}

// With its description. No umask.
bool Fill(int kept, const policy::Plan& plan, const Identity& identity,
          const std::string& description) {
  if (mkdirat(kept, kRoot, kOwnersMode) != 0) return false;
  const OwnedFd root(OpenBeneath(kept, kRoot, O_RDONLY | O_DIRECTORY));
  if (!root.valid() || !MakeSkeleton(root, plan, identity) || fchmod(root.get(), kRootMode) != 0) {
    return false;
  }
  const OwnedFd file(
      openat(kept, kDescription, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0400));
  if (!file.valid() || !WriteAll(file.get(), description, kDescription)) return false;
  // Of one moment.
  return Describe(plan, identity) == description;
}

// Under another name until it is whole, and locked from the first moment.
void Make(const OwnedFd& folder, const std::string& cache_folder, const std::string& name,
          const policy::Plan& plan, const Identity& identity, const std::string& description) {
  std::string path = PathOf(cache_folder, std::string(kNewPrefix) + "XXXXXX");
  if (mkdtemp(path.data()) == nullptr) return;
  const std::string temporary = path.substr(path.rfind('/') + 1);
  const OwnedFd kept = Hold(folder.get(), temporary, LOCK_EX);
  const mode_t mask = umask(0);
  const bool is_filled = kept.valid() && Fill(kept.get(), plan, identity, description);
  (void)umask(mask);
  const bool is_made = is_filled && renameat2(folder.get(), temporary.c_str(), folder.get(),
                                              name.c_str(), RENAME_NOREPLACE) == 0;
  // Somebody else may have been first.
  if (!is_made) Remove(path);
  (void)RemoveBut(kKept, cache_folder, Removal::kRemove);
}

}  // namespace

std::optional<PreparedRoot> PreparedRoot::Find(const std::string& cache_folder,
                                               const policy::Plan& plan, const Identity& identity) {
  if (!cache_folder.starts_with('/')) return std::nullopt;
  const std::optional<std::string> description = Describe(plan, identity);
  if (!description) return std::nullopt;
  const std::string name = NameOf(*description);
  const OwnedFd folder = OpenFolder(cache_folder);
  if (!folder.valid()) return std::nullopt;
  OwnedFd held = Hold(folder.get(), name, LOCK_SH);
  struct stat stat = {};
  if (!held.valid() || fstat(held.get(), &stat) != 0 || !IsOwners(stat, kOwnersMode) ||
      !Describes(held.get(), *description)) {
    return std::nullopt;
  }
  const OwnedFd root = OpenBeneath(held.get(), kRoot, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (!root.valid() || fstat(root.get(), &stat) != 0 || !IsOwners(stat, kRootMode)) {
    return std::nullopt;
  }
  std::string path = PathOf(cache_folder, name);
  path.append("/").append(kRoot);
  return PreparedRoot(std::move(path), std::move(held), stat.st_dev, stat.st_ino);
}

void PreparedRoot::Keep(const std::string& cache_folder, const policy::Plan& plan,
                        const Identity& identity) {
  if (!cache_folder.starts_with('/')) return;
  const std::optional<std::string> description = Describe(plan, identity);
  if (!description) return;
  OwnedFd folder = OpenFolder(cache_folder);
  if (!folder.valid() && MakeFolder(cache_folder)) folder = OpenFolder(cache_folder);
  const std::string name = NameOf(*description);
  if (!folder.valid() || faccessat(folder.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
      errno != ENOENT) {
    return;
  }
  Make(folder, cache_folder, name, plan, identity, *description);
}

OwnedFd PreparedRoot::Open() const {
  OwnedFd root(open(path_.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat stat = {};
  if (!root.valid() || fstat(root.get(), &stat) != 0 || stat.st_dev != device_ ||
      stat.st_ino != inode_) {
    return {};
  }
  return root;
}

size_t RemovePreparedRoots(const std::string& cache_folder, Removal removal) {
  return RemoveBut(0, cache_folder, removal);
}

}  // namespace cordon::backend::native
