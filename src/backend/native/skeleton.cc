#include "backend/native/skeleton.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <string_view>

#include "backend/native/devices.h"
#include "backend/native/folders.h"
#include "policy/surroundings.h"

namespace cordon::backend::native {
namespace {

using policy::IfMissing;
using policy::Mount;
using policy::MountKind;
using policy::NodeType;
using policy::Plan;

constexpr mode_t kFolderMode = 0755;
constexpr mode_t kPlaceMode = 0644;
constexpr mode_t kTextMode = 0444;
// Of a file in memory; planned are a quarter of it.
constexpr size_t kLongestCopy = 512 << 10;
// Coarser than the clock of any file system's times.
constexpr time_t kRecentS = 2;

// No name is on top of another.
bool CoversNothing(const Mount& mount) {
  return mount.kind == MountKind::kLink || mount.kind == MountKind::kGenerated ||
         mount.kind == MountKind::kCopy || mount.kind == MountKind::kPlaceholder ||
         mount.if_missing == IfMissing::kStageFile;
}

bool IsMadeHere(const Mount& mount) {
  switch (mount.kind) {
    case MountKind::kLink:
    case MountKind::kGenerated:
    case MountKind::kCopy:
    case MountKind::kTmpfs:
    case MountKind::kProc:
    case MountKind::kDev:
      return true;
    case MountKind::kBind:
      // What is found only when it is mounted, or perhaps not, has no place before.
      return mount.type != NodeType::kAny && (mount.if_missing == IfMissing::kRefuse ||
                                              mount.if_missing == IfMissing::kMakeDirectory);
    case MountKind::kMask:
    case MountKind::kPlaceholder:
      return false;
  }
  return false;
}

class Skeleton {
 public:
  Skeleton(const OwnedFd& root, const Plan& plan, const Identity& identity)
      : plan_(plan), identity_(identity), folders_(root.get()) {}

  Status Make() {
    const std::vector<bool> is_ours = InSkeleton(plan_);
    for (size_t i = 0; i < plan_.mounts.size(); ++i) {
      if (is_ours[i]) CORDON_TRY(Add(plan_.mounts[i]));
    }
    return {};
  }

 private:
  Status Add(const Mount& mount);
  Status AddFolder(const std::string& target);
  Status AddPlace(const std::string& target);
  Status AddLink(const Mount& mount);
  Status AddCopy(const Mount& mount);
  Status AddText(const std::string& target, std::string_view text, mode_t mode);

  const Plan& plan_;
  const Identity& identity_;
  Folders folders_;
};

Status Skeleton::Add(const Mount& mount) {
  switch (mount.kind) {
    case MountKind::kLink:
      return AddLink(mount);
    case MountKind::kCopy:
      return AddCopy(mount);
    case MountKind::kGenerated: {
      const Result<std::string> text = GeneratedText(mount.name, plan_, identity_);
      if (!text) return std::unexpected(text.error());
      return AddText(mount.target, *text, kTextMode);
    }
    case MountKind::kDev: {
      const Result<int> folder = folders_.Open(mount.target);
      return folder ? MakeDevNames(*folder) : Status(std::unexpected(folder.error()));
    }
    case MountKind::kBind:
      return mount.type == NodeType::kFile ? AddPlace(mount.target) : AddFolder(mount.target);
    default:
      return AddFolder(mount.target);
  }
}

Status Skeleton::AddFolder(const std::string& target) {
  const Result<int> folder = folders_.Open(ParentOf(target));
  if (!folder) return std::unexpected(folder.error());
  const std::string name = NameOf(target);
  if (mkdirat(*folder, name.c_str(), kFolderMode) == 0) return {};
  const int error = errno;
  struct stat stat = {};
  if (error == EEXIST && fstatat(*folder, name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISDIR(stat.st_mode)) {
    return {};
  }
  return SystemError("mkdir(" + target + ")", error);
}

// Another mount's file may have that name already.
Status Skeleton::AddPlace(const std::string& target) {
  const Result<int> folder = folders_.Open(ParentOf(target));
  if (!folder) return std::unexpected(folder.error());
  const std::string name = NameOf(target);
  const OwnedFd made(
      openat(*folder, name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, kPlaceMode));
  if (made.valid()) return {};
  const int error = errno;
  struct stat stat = {};
  if (error == EEXIST && fstatat(*folder, name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISREG(stat.st_mode)) {
    return {};
  }
  return SystemError("open(" + target + ", O_CREAT)", error);
}

Status Skeleton::AddLink(const Mount& mount) {
  const Result<int> folder = folders_.Open(ParentOf(mount.target));
  if (!folder) return std::unexpected(folder.error());
  if (symlinkat(mount.source.c_str(), *folder, NameOf(mount.target).c_str()) != 0) {
    return SystemError("symlink(" + mount.source + ", " + mount.target + ")");
  }
  return {};
}

Status Skeleton::AddCopy(const Mount& mount) {
  const OwnedFd source(
      open(mount.source.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  // What the caller may not read the command may not either, and it is there.
  if (!source.valid() && errno == EACCES) return AddText(mount.target, {}, 0);
  struct stat stat = {};
  if (!source.valid() || fstat(source.get(), &stat) != 0) {
    return SystemError("open(" + mount.source + ")");
  }
  if (!S_ISREG(stat.st_mode)) {
    return Fail(ErrorCode::kInvalid, mount.source + " is not what the plan says it is");
  }
  std::string text;
  text.resize_and_overwrite(kLongestCopy, [&](char* bytes, size_t size) {
    const ssize_t had = read(source.get(), bytes, size);
    return had < 0 ? size_t{0} : static_cast<size_t>(had);
  });
  if (text.empty() && stat.st_size > 0) return SystemError("read(" + mount.source + ")");
  if (text.size() == kLongestCopy) {
    return Fail(ErrorCode::kInvalid, mount.source + " has become longer; plan again");
  }
  return AddText(mount.target, text, stat.st_mode & 0555);
}

Status Skeleton::AddText(const std::string& target, std::string_view text, mode_t mode) {
  const Result<int> folder = folders_.Open(ParentOf(target));
  if (!folder) return std::unexpected(folder.error());
  const OwnedFd file(
      openat(*folder, NameOf(target).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode));
  if (!file.valid()) return SystemError("open(" + target + ", O_CREAT)");
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return SystemError("write(" + target + ")");
  }
  return {};
}

// Which file it is and that it is still what it was: nothing changes a file and not its second
// time. One that not everybody may read is not kept: who may can change.
bool DescribeCopy(const std::string& path, time_t now, std::string* text) {
  struct stat stat = {};
  if (lstat(path.c_str(), &stat) != 0 || (stat.st_mode & S_IROTH) == 0) return false;
  if (stat.st_ctim.tv_sec + kRecentS >= now) return false;
  for (const uint64_t part :
       {uint64_t{stat.st_dev}, uint64_t{stat.st_ino}, static_cast<uint64_t>(stat.st_size),
        static_cast<uint64_t>(stat.st_mtim.tv_sec), static_cast<uint64_t>(stat.st_mtim.tv_nsec),
        static_cast<uint64_t>(stat.st_ctim.tv_sec), static_cast<uint64_t>(stat.st_ctim.tv_nsec),
        uint64_t{stat.st_mode}}) {
    *text += std::to_string(part) + " ";
  }
  return true;
}

}  // namespace

std::vector<bool> InSkeleton(const Plan& plan) {
  std::vector<bool> is_ours(plan.mounts.size());
  std::vector<const std::string*> covered;
  for (size_t i = 0; i < plan.mounts.size(); ++i) {
    const Mount& mount = plan.mounts[i];
    bool is_free = true;
    for (const std::string* target : covered) {
      is_free = is_free && !policy::IsWithin(mount.target, *target);
    }
    is_ours[i] = is_free && IsMadeHere(mount);
    if (!CoversNothing(mount)) covered.push_back(&mount.target);
  }
  return is_ours;
}

Status MakeSkeleton(const OwnedFd& root, const Plan& plan, const Identity& identity) {
  return Skeleton(root, plan, identity).Make();
}

std::optional<std::string> DescribeSkeleton(const Plan& plan, const Identity& identity) {
  constexpr size_t kUsual = 8 << 10;
  std::string text;
  text.reserve(kUsual);
  const time_t now = time(nullptr);
  const std::vector<bool> is_ours = InSkeleton(plan);
  for (size_t i = 0; i < plan.mounts.size(); ++i) {
    const Mount& mount = plan.mounts[i];
    if (!is_ours[i]) {
      // Made where it is mounted: in memory and nowhere else.
      if (!IsMadeHere(mount) && mount.kind == MountKind::kBind &&
          mount.if_missing != IfMissing::kStageFile) {
        return std::nullopt;
      }
      continue;
    }
    text += std::to_string(static_cast<int>(mount.kind)) + " " +
            std::to_string(static_cast<int>(mount.type)) + " ";
    text.append(mount.target).push_back('\0');
    if (mount.kind == MountKind::kLink) text += mount.source;
    if (mount.kind == MountKind::kGenerated) {
      const Result<std::string> generated = GeneratedText(mount.name, plan, identity);
      if (!generated) return std::nullopt;
      text += *generated;
    }
    if (mount.kind == MountKind::kCopy && !DescribeCopy(mount.source, now, &text)) {
      return std::nullopt;
    }
    text.push_back('\0');
  }
  return text;
}

}  // namespace cordon::backend::native
