#include "backend/native/root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "backend/native/fit.h"
#include "base/owned_fd.h"

namespace cordon::backend::native {
namespace {

using policy::IfMissing;
using policy::Mount;
using policy::MountKind;
using policy::NodeType;
using policy::Plan;

// /proc exists wherever this program can run, and nothing of it is needed any more. The mount on it
// leaves with the host's tree.
constexpr const char* kStage = "/proc";
constexpr uint64_t kInside = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
constexpr mode_t kFolderMode = 0755;
constexpr mode_t kOpenFolderMode = 01777;
// What masks show; gone from the tree once everything is made.
constexpr const char* kEmptyFile = ".empty-file";
constexpr const char* kEmptyFolder = ".empty-folder";
constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};
struct DeviceLink {
  const char* name;
  const char* text;
};
constexpr DeviceLink kDeviceLinks[] = {{"fd", "/proc/self/fd"},
                                       {"stdin", "/proc/self/fd/0"},
                                       {"stdout", "/proc/self/fd/1"},
                                       {"stderr", "/proc/self/fd/2"},
                                       {"ptmx", "pts/ptmx"}};

OwnedFd OpenBeneath(int directory, const std::string& path, uint64_t flags) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC;
  how.resolve = kInside;
  return OwnedFd(static_cast<int>(
      syscall(SYS_openat2, directory, path.empty() ? "." : path.c_str(), &how, sizeof how)));
}

// Without the first slash.
std::string Inner(const std::string& path) {
  return path.substr(std::min(path.find_first_not_of('/'), path.size()));
}

std::string Relative(const std::string& path, const std::string& directory) {
  return Inner(path.substr(directory == "/" ? 0 : directory.size()));
}

bool HasType(const OwnedFd& node, NodeType type) {
  struct stat stat = {};
  if (fstat(node.get(), &stat) != 0) return false;
  switch (type) {
    case NodeType::kFile:
      return S_ISREG(stat.st_mode);
    case NodeType::kDirectory:
      return S_ISDIR(stat.st_mode);
    case NodeType::kAny:
      return S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode);
  }
  return false;
}

bool IsDirectory(const OwnedFd& node) {
  return HasType(node, NodeType::kDirectory);
}

// Every directory of `path` below `directory`, made where it is missing.
Status MakeDirectories(int directory, const std::string& path, mode_t mode) {
  OwnedFd at;
  int here = directory;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    OwnedFd next = OpenBeneath(here, name, O_PATH | O_DIRECTORY);
    if (!next.valid() && errno == ENOENT) {
      if (mkdirat(here, name.c_str(), mode) != 0 && errno != EEXIST) {
        return SystemError("mkdir(" + path.substr(0, end) + ")");
      }
      next = OpenBeneath(here, name, O_PATH | O_DIRECTORY);
    }
    if (!next.valid()) return SystemError("openat2(" + path.substr(0, end) + ", RESOLVE_BENEATH)");
    at = std::move(next);
    here = at.get();
    begin = end + 1;
  }
  return {};
}

class Root {
 public:
  Root(const Plan& plan, const Identity& identity, std::optional<uint64_t> memory_bytes)
      : plan_(plan), identity_(identity), memory_bytes_(memory_bytes) {}

  Status Build() {
    CORDON_TRY(Begin());
    for (size_t i = 0; i < plan_.mounts.size(); ++i) CORDON_TRY(Make(i));
    return Finish();
  }

 private:
  Status Begin();
  Status Make(size_t index);
  Status Finish();

  Status MakeBind(const Mount& mount);
  Status MakeTmpfs(const Mount& mount);
  Status MakeProc(const Mount& mount);
  Status MakeDev(const Mount& mount);
  Status MakeMask(const Mount& mount);
  Status MakeGenerated(const Mount& mount);
  Status MakeLink(const Mount& mount);

  [[nodiscard]] Result<OwnedFd> OpenSource(const Mount& mount) const;
  // The place to mount on. What is not there is made where it is ours to make.
  Result<OwnedFd> OpenTarget(const std::string& target, NodeType type);
  Status MakeParents(const std::string& target);
  [[nodiscard]] bool IsOurs(const std::string& path) const;
  Status PinParents(const std::string& target);
  // A directory of the root's file system, which otherwise is read-only.
  Status OpenForWriting(const std::string& target, mode_t mode, uint64_t attributes);
  Status MountFileSystem(const char* type, const std::string& target, unsigned long flags,
                         const std::string& options);
  // A copy of what is at `source`, with everything mounted below, placed on `target`.
  static Status Place(const OwnedFd& source, const OwnedFd& target, uint64_t attributes,
                      const std::string& name);

  const Plan& plan_;
  const Identity& identity_;
  const std::optional<uint64_t> memory_bytes_;
  OwnedFd root_;
  size_t done_ = 0;
  std::vector<std::string> pinned_;
  bool has_masks_ = false;
};

Status Root::Begin() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return SystemError("mount(/, MS_REC | MS_PRIVATE)");
  }
  std::string options = "mode=0755";
  if (memory_bytes_) options += ",size=" + std::to_string(*memory_bytes_);
  if (mount("tmpfs", kStage, "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return SystemError("mount(tmpfs, " + options + ")");
  }
  root_.reset(open(kStage, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root_.valid()) return SystemError("open(new root)");
  return {};
}

Status Root::Make(size_t index) {
  const Mount& mount = plan_.mounts[index];
  done_ = index;
  switch (mount.kind) {
    case MountKind::kBind:
      return MakeBind(mount);
    case MountKind::kLink:
      return MakeLink(mount);
    case MountKind::kGenerated:
      return MakeGenerated(mount);
    case MountKind::kTmpfs:
      return MakeTmpfs(mount);
    case MountKind::kProc:
      return MakeProc(mount);
    case MountKind::kDev:
      return MakeDev(mount);
    case MountKind::kMask:
      return MakeMask(mount);
    case MountKind::kPlaceholder:
      // Fits only where nothing can be made.
      return {};
  }
  return Fail(ErrorCode::kInternal, "kind of mount");
}

Status Root::Finish() {
  if (has_masks_ && (unlinkat(root_.get(), kEmptyFile, 0) != 0 ||
                     unlinkat(root_.get(), kEmptyFolder, AT_REMOVEDIR) != 0)) {
    return SystemError("unlinkat(what masks show)");
  }
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (mount_setattr(root_.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) {
    return SystemError("mount_setattr(/, MOUNT_ATTR_RDONLY)");
  }
  if (fchdir(root_.get()) != 0) return SystemError("fchdir(new root)");
  if (syscall(SYS_pivot_root, ".", ".") != 0) return SystemError("pivot_root");
  if (umount2(".", MNT_DETACH) != 0) return SystemError("umount2(the host's tree)");
  if (chdir("/") != 0) return SystemError("chdir(/)");
  return {};
}

bool Root::IsOurs(const std::string& path) const {
  const Mount* covering = FindCovering(plan_, done_, path);
  return covering == nullptr || covering->kind == MountKind::kTmpfs;
}

Status Root::MakeParents(const std::string& target) {
  const std::string parent = target.substr(0, target.rfind('/'));
  // With a mode that lets the command in whatever the caller's mask is: the first process has none.
  if (!parent.empty() && IsOurs(parent)) {
    return MakeDirectories(root_.get(), Inner(parent), kFolderMode);
  }
  return {};
}

Result<OwnedFd> Root::OpenTarget(const std::string& target, NodeType type) {
  const std::string inner = Inner(target);
  OwnedFd place = OpenBeneath(root_.get(), inner, O_PATH);
  if (!place.valid() && errno == ENOENT && IsOurs(target)) {
    if (const Status parents = MakeParents(target); !parents) {
      return std::unexpected(parents.error());
    }
    const std::string parent = inner.substr(0, std::min(inner.rfind('/'), inner.size()));
    const OwnedFd folder =
        OpenBeneath(root_.get(), parent == inner ? "" : parent, O_PATH | O_DIRECTORY);
    const std::string name = inner.substr(parent == inner ? 0 : parent.size() + 1);
    if (type == NodeType::kDirectory) {
      if (mkdirat(folder.get(), name.c_str(), kFolderMode) != 0) {
        return SystemError("mkdir(" + target + ")");
      }
    } else {
      const OwnedFd made(
          openat(folder.get(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
      if (!made.valid()) return SystemError("open(" + target + ", O_CREAT)");
    }
    place = OpenBeneath(root_.get(), inner, O_PATH);
  }
  if (!place.valid()) {
    return SystemError("openat2(" + target + ", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)");
  }
  if (!HasType(place, type)) {
    return Fail(ErrorCode::kInvalid, target + " is not what is to be mounted on it");
  }
  return place;
}

Status Root::Place(const OwnedFd& source, const OwnedFd& target, uint64_t attributes,
                   const std::string& name) {
  const OwnedFd tree(open_tree(source.get(), "",
                               AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree.valid()) return SystemError("open_tree(" + name + ", OPEN_TREE_CLONE)");
  mount_attr change = {};
  change.attr_set = attributes;
  if (mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) != 0) {
    return SystemError("mount_setattr(" + name + ")");
  }
  if (move_mount(tree.get(), "", target.get(), "",
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return SystemError("move_mount(" + name + ")");
  }
  return {};
}

Result<OwnedFd> Root::OpenSource(const Mount& mount) const {
  if (mount.beneath.empty()) {
    if (mount.if_missing == IfMissing::kMakeDirectory) {
      const OwnedFd top(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (const Status made = MakeDirectories(top.get(), Inner(mount.source), 0700); !made) {
        return std::unexpected(made.error());
      }
    }
    OwnedFd source(open(mount.source.c_str(), O_PATH | O_CLOEXEC));
    if (!source.valid()) return SystemError("open(" + mount.source + ", O_PATH)");
    return source;
  }
  const OwnedFd above(open(mount.beneath.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!above.valid()) return SystemError("open(" + mount.beneath + ", O_PATH)");
  const std::string path = Relative(mount.source, mount.beneath);
  if (mount.if_missing == IfMissing::kMakeDirectory) {
    if (const Status made = MakeDirectories(above.get(), path, kFolderMode); !made) {
      return std::unexpected(made.error());
    }
  }
  OwnedFd source = OpenBeneath(above.get(), path, O_PATH);
  if (!source.valid()) {
    return SystemError("openat2(" + mount.source + ", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)");
  }
  return source;
}

Status Root::MakeBind(const Mount& mount) {
  const Result<OwnedFd> source = OpenSource(mount);
  if (!source) {
    const bool is_skipped =
        source.error().system_errno == ENOENT && mount.if_missing == IfMissing::kSkip;
    return is_skipped ? Status() : std::unexpected(source.error());
  }
  if (!HasType(*source, mount.type)) {
    return Fail(ErrorCode::kInvalid, mount.source + " is not what the plan says it is");
  }
  const NodeType type = IsDirectory(*source) ? NodeType::kDirectory : NodeType::kFile;
  if (mount.pinned) CORDON_TRY(PinParents(mount.target));
  const Result<OwnedFd> target = OpenTarget(mount.target, type);
  if (!target) return std::unexpected(target.error());
  const uint64_t attributes =
      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (mount.read_only ? MOUNT_ATTR_RDONLY : 0);
  return Place(*source, *target, attributes, mount.source);
}

// What is a mount point cannot be renamed, so that nothing covered gets another name.
Status Root::PinParents(const std::string& target) {
  const Mount* covering = FindCovering(plan_, done_, target);
  if (covering == nullptr || covering->read_only || covering->kind != MountKind::kBind) return {};
  for (size_t end = target.find('/', covering->target.size() + 1); end != std::string::npos;
       end = target.find('/', end + 1)) {
    const std::string parent = target.substr(0, end);
    if (std::ranges::find(pinned_, parent) != pinned_.end()) continue;
    pinned_.push_back(parent);
    const OwnedFd place = OpenBeneath(root_.get(), Inner(parent), O_PATH | O_DIRECTORY);
    if (!place.valid()) return SystemError("openat2(" + parent + ", RESOLVE_BENEATH)");
    CORDON_TRY(Place(place, place, 0, parent));
  }
  return {};
}

Status Root::MountFileSystem(const char* type, const std::string& target, unsigned long flags,
                             const std::string& options) {
  const Result<OwnedFd> place = OpenTarget(target, NodeType::kDirectory);
  if (!place) return std::unexpected(place.error());
  const OwnedFd context(fsopen(type, FSOPEN_CLOEXEC));
  if (!context.valid()) return SystemError(std::string("fsopen(") + type + ")");
  for (size_t begin = 0; begin < options.size();) {
    const size_t end = std::min(options.find(',', begin), options.size());
    const std::string option = options.substr(begin, end - begin);
    const size_t equals = option.find('=');
    const int result =
        equals == std::string::npos
            ? fsconfig(context.get(), FSCONFIG_SET_FLAG, option.c_str(), nullptr, 0)
            : fsconfig(context.get(), FSCONFIG_SET_STRING, option.substr(0, equals).c_str(),
                       option.substr(equals + 1).c_str(), 0);
    if (result != 0) return SystemError(std::string("fsconfig(") + type + ", " + option + ")");
    begin = end + 1;
  }
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return SystemError(std::string("fsconfig(") + type + ", FSCONFIG_CMD_CREATE)");
  }
  const OwnedFd made(fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(flags)));
  if (!made.valid()) return SystemError(std::string("fsmount(") + type + ")");
  if (move_mount(made.get(), "", place->get(), "",
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return SystemError("move_mount(" + target + ")");
  }
  return {};
}

// Of the root's own file system, so that one size holds for all of them together; where the host's
// files are around it, or the plan has another size, of one for itself.
Status Root::MakeTmpfs(const Mount& mount) {
  const bool is_open = mount.target == "/tmp" || mount.target == "/var/tmp";
  const uint64_t attributes =
      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (mount.read_only ? MOUNT_ATTR_RDONLY : 0);
  if (!IsOurs(mount.target) || mount.size_bytes != plan_.limits.disk_bytes) {
    std::string options = is_open ? "mode=1777" : "mode=0755";
    std::optional<uint64_t> size = mount.size_bytes;
    if (memory_bytes_) size = std::min(size.value_or(*memory_bytes_), *memory_bytes_);
    if (size) options += ",size=" + std::to_string(*size);
    return MountFileSystem("tmpfs", mount.target, attributes, options);
  }
  return OpenForWriting(mount.target, is_open ? kOpenFolderMode : kFolderMode, attributes);
}

Status Root::OpenForWriting(const std::string& target, mode_t mode, uint64_t attributes) {
  const Result<OwnedFd> place = OpenTarget(target, NodeType::kDirectory);
  if (!place) return std::unexpected(place.error());
  const std::string inner = Inner(target);
  if (mode != kFolderMode && fchmodat(root_.get(), inner.c_str(), mode, 0) != 0) {
    return SystemError("fchmodat(" + target + ")");
  }
  return Place(*place, *place, attributes, target);
}

// Read-only: what of it can be written belongs, outside, to whoever has the caller's number, and
// that may be root's. The command's own files in it lose little.
Status Root::MakeProc(const Mount& mount) {
  return MountFileSystem(
      "proc", mount.target,
      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, "");
}

Status Root::MakeDev(const Mount& mount) {
  // Of the root's file system, and read-only with it.
  if (!IsOurs(mount.target)) return Fail(ErrorCode::kInvalid, mount.target + " is the host's");
  CORDON_TRY(MakeDirectories(root_.get(), Inner(mount.target), kFolderMode));
  const OwnedFd folder = OpenBeneath(root_.get(), Inner(mount.target), O_PATH | O_DIRECTORY);
  if (!folder.valid()) return SystemError("openat2(" + mount.target + ")");
  for (const char* name : kDevices) {
    const std::string host = std::string("/dev/") + name;
    const OwnedFd source(open(host.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat stat = {};
    if (!source.valid() || fstat(source.get(), &stat) != 0)
      return SystemError("open(" + host + ")");
    if (!S_ISCHR(stat.st_mode)) return Fail(ErrorCode::kInvalid, host + " is no device");
    const OwnedFd made(openat(folder.get(), name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666));
    if (!made.valid()) return SystemError(std::string("open(new /dev/") + name + ")");
    CORDON_TRY(Place(source, made, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, host));
  }
  for (const DeviceLink& link : kDeviceLinks) {
    if (symlinkat(link.text, folder.get(), link.name) != 0) {
      return SystemError(std::string("symlink(/dev/") + link.name + ")");
    }
  }
  CORDON_TRY(MakeDirectories(folder.get(), "pts", kFolderMode));
  CORDON_TRY(MountFileSystem("devpts", mount.target + "/pts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
                             "newinstance,ptmxmode=0666,mode=0620"));
  CORDON_TRY(MakeDirectories(folder.get(), "shm", kFolderMode));
  return OpenForWriting(mount.target + "/shm", kOpenFolderMode,
                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

Status Root::MakeMask(const Mount& mount) {
  if (!has_masks_) {
    const OwnedFd file(
        openat(root_.get(), kEmptyFile, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444));
    if (!file.valid() || mkdirat(root_.get(), kEmptyFolder, 0555) != 0) {
      return SystemError("mkdir(what masks show)");
    }
    has_masks_ = true;
  }
  if (mount.pinned) CORDON_TRY(PinParents(mount.target));
  const OwnedFd target = OpenBeneath(root_.get(), Inner(mount.target), O_PATH);
  // Something else may have come since the plan was made; what has gone hides itself.
  if (!target.valid() && errno == ENOENT) {
    return Fail(ErrorCode::kInvalid, mount.target + " is to be hidden and has gone; plan again");
  }
  if (!target.valid()) return SystemError("openat2(" + mount.target + ", RESOLVE_NO_SYMLINKS)");
  const OwnedFd source =
      OpenBeneath(root_.get(), IsDirectory(target) ? kEmptyFolder : kEmptyFile, O_PATH);
  if (!source.valid()) return SystemError("openat2(what masks show)");
  return Place(source, target,
               MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
               mount.target);
}

Status Root::MakeGenerated(const Mount& mount) {
  const Result<std::string> text = GeneratedText(mount.name, plan_, identity_);
  if (!text) return std::unexpected(text.error());
  if (!IsOurs(mount.target)) {
    return Fail(ErrorCode::kInvalid, mount.target + " is in a directory of the host");
  }
  CORDON_TRY(MakeParents(mount.target));
  // As everything of the root it can be written only until that is read-only.
  OwnedFd file = OpenBeneath(root_.get(), Inner(mount.target.substr(0, mount.target.rfind('/'))),
                             O_PATH | O_DIRECTORY);
  file.reset(openat(file.get(), mount.target.substr(mount.target.rfind('/') + 1).c_str(),
                    O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444));
  if (!file.valid()) return SystemError("open(" + mount.target + ", O_CREAT)");
  if (write(file.get(), text->data(), text->size()) != static_cast<ssize_t>(text->size())) {
    return SystemError("write(" + mount.target + ")");
  }
  return {};
}

Status Root::MakeLink(const Mount& mount) {
  if (!IsOurs(mount.target)) {
    return Fail(ErrorCode::kInvalid, mount.target + " is in a directory of the host");
  }
  CORDON_TRY(MakeParents(mount.target));
  const OwnedFd folder = OpenBeneath(
      root_.get(), Inner(mount.target.substr(0, mount.target.rfind('/'))), O_PATH | O_DIRECTORY);
  const std::string name = mount.target.substr(mount.target.rfind('/') + 1);
  if (symlinkat(mount.source.c_str(), folder.get(), name.c_str()) != 0) {
    return SystemError("symlink(" + mount.source + ", " + mount.target + ")");
  }
  return {};
}

}  // namespace

Status BuildRoot(const Plan& plan, const Identity& identity, std::optional<uint64_t> memory_bytes) {
  return Root(plan, identity, memory_bytes).Build();
}

}  // namespace cordon::backend::native
