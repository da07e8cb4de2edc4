#include "backend/native/root.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "backend/native/devices.h"
#include "backend/native/fit.h"
#include "backend/native/folders.h"
#include "backend/native/mount_calls.h"
#include "backend/native/overlay.h"
#include "backend/native/skeleton.h"
#include "policy/surroundings.h"

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
constexpr mode_t kFolderMode = 0755;
constexpr mode_t kOpenFolderMode = 01777;
constexpr uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
// In memory beside the root, and never seen by the command: the root's own files where none are
// prepared, what covers show, and where an overlay is put together.
constexpr const char* kRoot = "root";
constexpr const char* kCover = "cover";
constexpr const char* kPlainCover = "plain";
constexpr const char* kLayer = "layer";

// Where something is to be mounted: a name in a directory, or the directory itself.
struct Spot {
  int directory = -1;
  std::string name;
  OwnedFd own;
};

class Root {
 public:
  explicit Root(const RootRequest& request)
      : request_(request), plan_(request.plan), is_in_skeleton_(InSkeleton(request.plan)) {}

  Status Build() {
    CORDON_TRY(Begin());
    for (size_t i = 0; i < plan_.mounts.size(); ++i) CORDON_TRY(Make(i));
    CORDON_TRY(MakeStaged());
    return Finish();
  }
  [[nodiscard]] OwnedFd TakeStaged() { return std::move(staged_); }

 private:
  Status Begin();
  Status OpenRoot();
  Status Make(size_t index);
  Status MakeStaged();
  Status Finish();

  Status MakeBind(const Mount& mount);
  Status MakeTmpfs(const Mount& mount);
  Status MakeProc(const Mount& mount);
  Status MakeDev(const Mount& mount);
  Status MakeMask(const Mount& mount);
  Status MakePlaceholder(const Mount& mount);

  // What is bound, detached, and what it is; nothing if it is to be left out.
  struct Source {
    OwnedFd tree;
    NodeType type = NodeType::kFile;
  };
  [[nodiscard]] Result<std::optional<Source>> OpenSource(const Mount& mount);
  [[nodiscard]] Result<OwnedFd> OpenBeneathWorkspace(const Mount& mount);
  [[nodiscard]] Result<OwnedFd> Overlay(const Mount& mount, const OwnedFd& source);

  // What is not there is made where it is ours to make.
  Result<Spot> FindSpot(const std::string& target, NodeType type);
  [[nodiscard]] bool IsOurs(const std::string& path) const;
  Status Place(const OwnedFd& tree, const Spot& spot, const std::string& target);
  Status PinParents(const std::string& target);
  // A directory in memory: of one file system, whose size is the limit of all of them together.
  Status OpenForWriting(const Spot& spot, const std::string& target, mode_t mode,
                        uint64_t attributes);
  Status CoverKernels(const Mount& mount);
  Status Cover(const OwnedFd& place, const std::string& target, NodeType type,
               const std::string& text);
  [[nodiscard]] bool IsCovered(const OwnedFd& target) const;

  const RootRequest& request_;
  const Plan& plan_;
  const std::vector<bool> is_in_skeleton_;
  OwnedFd memory_;
  OwnedFd root_;
  std::optional<Folders> folders_;  // of the root, with what is mounted there
  size_t done_ = 0;
  size_t in_memory_ = 0;  // directories of OpenForWriting, which are named by their numbers
  std::string above_path_;
  OwnedFd above_;
  OwnedFd staged_;
  OwnedFd plain_cover_;  // an empty file that covers something already; the others are clones of it
  std::vector<std::string> pinned_;
  bool has_layer_ = false;
};

Status Root::Begin() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return SystemError("mount(/, MS_REC | MS_PRIVATE)");
  }
  std::string options = "mode=0755";
  if (request_.memory_bytes) options += ",size=" + std::to_string(*request_.memory_bytes);
  if (mount("tmpfs", kStage, "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return SystemError("mount(tmpfs, " + options + ")");
  }
  memory_.reset(open(kStage, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!memory_.valid()) return SystemError("open(memory)");
  if (mkdirat(memory_.get(), kRoot, kFolderMode) != 0) return SystemError("mkdir(new root)");
  CORDON_TRY(OpenRoot());
  folders_.emplace(root_.get());
  return {};
}

// What is prepared cannot be written from the first moment; what is made here, once all is.
Status Root::OpenRoot() {
  OwnedFd prepared;
  if (request_.prepared != nullptr) prepared = request_.prepared->Open();
  const OwnedFd made(openat(memory_.get(), kRoot, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!made.valid()) return SystemError("open(new root)");
  if (!prepared.valid()) CORDON_TRY(MakeSkeleton(made, plan_, request_.identity));
  const Result<OwnedFd> tree =
      CloneTree(prepared.valid() ? prepared.get() : made.get(), "", "new root");
  if (!tree) return std::unexpected(tree.error());
  if (prepared.valid()) CORDON_TRY(Change(*tree, {.set = kQuiet | MOUNT_ATTR_RDONLY}, "new root"));
  CORDON_TRY(Attach(*tree, made.get(), "", "new root"));
  root_.reset(openat(memory_.get(), kRoot, O_PATH | O_DIRECTORY | O_CLOEXEC));
  return root_.valid() ? Status() : SystemError("open(new root)");
}

Status Root::Make(size_t index) {
  const Mount& mount = plan_.mounts[index];
  done_ = index;
  switch (mount.kind) {
    case MountKind::kBind:
      return MakeBind(mount);
    case MountKind::kLink:
    case MountKind::kGenerated:
    case MountKind::kCopy:
      if (is_in_skeleton_[index]) return {};
      return Fail(ErrorCode::kInvalid, mount.target + " is in a directory of the host");
    case MountKind::kTmpfs:
      return MakeTmpfs(mount);
    case MountKind::kProc:
      return MakeProc(mount);
    case MountKind::kDev:
      return MakeDev(mount);
    case MountKind::kMask:
      return MakeMask(mount);
    case MountKind::kPlaceholder:
      return MakePlaceholder(mount);
  }
  return Fail(ErrorCode::kInternal, "kind of mount");
}

Status Root::MakeStaged() {
  const std::vector<const Mount*> files = StagedFiles(plan_);
  if (files.empty()) return {};
  done_ = plan_.mounts.size();
  const Result<Spot> spot = FindSpot(kStagedFolder, NodeType::kDirectory);
  if (!spot) return std::unexpected(spot.error());
  CORDON_TRY(OpenForWriting(*spot, kStagedFolder, kFolderMode, kQuiet));
  staged_ = OpenBeneath(root_.get(), Inner(kStagedFolder), O_PATH | O_DIRECTORY);
  if (!staged_.valid()) return SystemError("openat2(folder of staged files)");
  for (size_t i = 0; i < files.size(); ++i) {
    if (mkdirat(staged_.get(), std::to_string(i).c_str(), kFolderMode) != 0) {
      return SystemError("mkdir(folder of a staged file)");
    }
  }
  return {};
}

Status Root::Finish() {
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

Result<Spot> Root::FindSpot(const std::string& target, NodeType type) {
  if (done_ < is_in_skeleton_.size() && is_in_skeleton_[done_] &&
      plan_.mounts[done_].target == target) {
    return Spot{root_.get(), Inner(target), {}};
  }
  if (IsOurs(target) && IsOurs(ParentOf(target))) {
    const Result<int> folder = folders_->Open(ParentOf(target));
    if (!folder) return std::unexpected(folder.error());
    const std::string name = NameOf(target);
    if (type == NodeType::kDirectory) {
      if (mkdirat(*folder, name.c_str(), kFolderMode) == 0) return Spot{*folder, name, {}};
    } else {
      const OwnedFd made(
          openat(*folder, name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
      if (made.valid()) return Spot{*folder, name, {}};
    }
    if (errno != EEXIST) return SystemError("mknod(" + target + ")");
  }
  Spot spot;
  spot.own = OpenBeneath(root_.get(), Inner(target), O_PATH);
  if (!spot.own.valid()) {
    return SystemError("openat2(" + target + ", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)");
  }
  if (!HasType(spot.own, type)) {
    return Fail(ErrorCode::kInvalid, target + " is not what is to be mounted on it");
  }
  spot.directory = spot.own.get();
  return spot;
}

Status Root::Place(const OwnedFd& tree, const Spot& spot, const std::string& target) {
  CORDON_TRY(Attach(tree, spot.directory, spot.name, target));
  folders_->Forget(target);
  return {};
}

Result<OwnedFd> Root::OpenBeneathWorkspace(const Mount& mount) {
  if (above_path_ != mount.beneath) {
    above_.reset(open(mount.beneath.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!above_.valid()) return SystemError("open(" + mount.beneath + ", O_PATH)");
    above_path_ = mount.beneath;
  }
  const std::string path = Inner(mount.source.substr(mount.beneath.size()));
  if (mount.if_missing == IfMissing::kMakeDirectory) {
    return MakeDirectories(above_.get(), path, kFolderMode);
  }
  OwnedFd source = OpenBeneath(above_.get(), path, O_PATH);
  if (!source.valid()) {
    return SystemError("openat2(" + mount.source + ", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)");
  }
  return source;
}

Result<OwnedFd> Root::Overlay(const Mount& mount, const OwnedFd& source) {
  if (!has_layer_ && mkdirat(memory_.get(), kLayer, 0700) != 0) return SystemError("mkdir(layer)");
  has_layer_ = true;
  std::string work = request_.work_folder;
  if (!mount.read_only) {
    if (work.empty()) return Fail(ErrorCode::kInternal, "no folder for an overlay to work in");
    work += "/" + std::to_string(done_);
    if (mkdir(work.c_str(), 0700) != 0) return SystemError("mkdir(" + work + ")");
  }
  return MakeOverlay({.plan = plan_,
                      .bind = mount,
                      .source = source.get(),
                      .stage = std::string(kStage) + "/" + kLayer,
                      .work_folder = work});
}

Result<std::optional<Root::Source>> Root::OpenSource(const Mount& mount) {
  if (IsView(plan_, mount)) {
    Result<OwnedFd> view = request_.workspace_view();
    if (!view) return std::unexpected(view.error());
    return Source{std::move(*view), NodeType::kDirectory};
  }
  OwnedFd place;
  if (!mount.beneath.empty()) {
    Result<OwnedFd> opened = OpenBeneathWorkspace(mount);
    if (!opened && opened.error().system_errno == ENOENT && mount.if_missing == IfMissing::kSkip) {
      return std::nullopt;
    }
    if (!opened) return std::unexpected(opened.error());
    place = std::move(*opened);
  } else if (mount.if_missing == IfMissing::kMakeDirectory) {
    const OwnedFd top(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const Result<OwnedFd> made = MakeDirectories(top.get(), Inner(mount.source), 0700);
    if (!made) return std::unexpected(made.error());
  }
  Result<OwnedFd> tree = CloneTree(place.valid() ? place.get() : AT_FDCWD,
                                   place.valid() ? "" : mount.source, mount.source);
  if (!tree && tree.error().system_errno == ENOENT && mount.if_missing == IfMissing::kSkip) {
    return std::nullopt;
  }
  if (!tree) return std::unexpected(tree.error());
  const bool is_folder = HasType(*tree, NodeType::kDirectory);
  if (is_folder ? mount.type == NodeType::kFile : !HasType(*tree, mount.type)) {
    return Fail(ErrorCode::kInvalid, mount.source + " is not what the plan says it is");
  }
  if (LayersOf(plan_, mount) != Layers::kNone) {
    // Not the copy: layers are looked for among what is mounted.
    if (!place.valid()) place.reset(open(mount.source.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!place.valid()) return SystemError("open(" + mount.source + ", O_PATH)");
    tree = Overlay(mount, place);
    if (!tree) return std::unexpected(tree.error());
  } else {
    const uint64_t attributes = kQuiet | (mount.read_only ? MOUNT_ATTR_RDONLY : 0);
    if (const Status changed = Change(*tree, {.set = attributes}, mount.source); !changed) {
      return std::unexpected(changed.error());
    }
  }
  return Source{std::move(*tree), is_folder ? NodeType::kDirectory : NodeType::kFile};
}

Status Root::MakeBind(const Mount& mount) {
  // The command makes it, if anybody does.
  if (mount.if_missing == IfMissing::kStageFile) return {};
  const Result<std::optional<Source>> source = OpenSource(mount);
  if (!source) return std::unexpected(source.error());
  if (!*source) return {};
  if (mount.pinned) CORDON_TRY(PinParents(mount.target));
  const Result<Spot> spot = FindSpot(mount.target, (*source)->type);
  if (!spot) return std::unexpected(spot.error());
  return Place((*source)->tree, *spot, mount.target);
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
    const Result<OwnedFd> tree = CloneTree(place.get(), "", parent);
    if (!tree) return std::unexpected(tree.error());
    CORDON_TRY(Attach(*tree, place.get(), "", parent));
  }
  return {};
}

// Of the root's own file system, so that one size holds for all of them together; where the host's
// files are around it, or the plan has another size, of one for itself.
Status Root::MakeTmpfs(const Mount& mount) {
  const bool is_open = mount.target == "/tmp" || mount.target == "/var/tmp";
  const uint64_t attributes = kQuiet | (mount.read_only ? MOUNT_ATTR_RDONLY : 0);
  if (IsOurs(mount.target) && mount.size_bytes == plan_.limits.disk_bytes) {
    const Result<Spot> spot = FindSpot(mount.target, NodeType::kDirectory);
    if (!spot) return std::unexpected(spot.error());
    return OpenForWriting(*spot, mount.target, is_open ? kOpenFolderMode : kFolderMode, attributes);
  }
  Options options = {{"mode", is_open ? "1777" : "0755"}};
  std::optional<uint64_t> size = mount.size_bytes;
  if (request_.memory_bytes) {
    size = std::min(size.value_or(*request_.memory_bytes), *request_.memory_bytes);
  }
  if (size) options.emplace_back("size", std::to_string(*size));
  const Result<OwnedFd> made = NewFileSystem("tmpfs", options, attributes);
  if (!made) return std::unexpected(made.error());
  const Result<Spot> spot = FindSpot(mount.target, NodeType::kDirectory);
  if (!spot) return std::unexpected(spot.error());
  return Place(*made, *spot, mount.target);
}

Status Root::OpenForWriting(const Spot& spot, const std::string& target, mode_t mode,
                            uint64_t attributes) {
  const std::string name = std::to_string(in_memory_++);
  if (mkdirat(memory_.get(), name.c_str(), mode) != 0) return SystemError("mkdir(" + target + ")");
  const Result<OwnedFd> tree = CloneTree(memory_.get(), name, target);
  if (!tree) return std::unexpected(tree.error());
  if (attributes != kQuiet) CORDON_TRY(Change(*tree, {.set = attributes}, target));
  return Place(*tree, spot, target);
}

// Read-only: what of it can be written belongs, outside, to whoever has the caller's number, and
// that may be root's. The command's own files in it lose little.
Status Root::MakeProc(const Mount& mount) {
  const Result<Spot> spot = FindSpot(mount.target, NodeType::kDirectory);
  if (!spot) return std::unexpected(spot.error());
  const Result<OwnedFd> made =
      NewFileSystem("proc", {}, kQuiet | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY);
  if (!made) return std::unexpected(made.error());
  return Place(*made, *spot, mount.target);
}

Status Root::MakeDev(const Mount& mount) {
  // Of the root's own files, and read-only with them.
  if (!is_in_skeleton_[done_]) return Fail(ErrorCode::kInvalid, mount.target + " is the host's");
  const OwnedFd folder = OpenBeneath(root_.get(), Inner(mount.target), O_PATH | O_DIRECTORY);
  if (!folder.valid()) return SystemError("openat2(" + mount.target + ", RESOLVE_NO_SYMLINKS)");
  CORDON_TRY(FillDev(folder.get()));
  return OpenForWriting({folder.get(), kSharedMemory, {}}, mount.target + "/" + kSharedMemory,
                        kOpenFolderMode, kQuiet | MOUNT_ATTR_NOEXEC);
}

// Has a name only until it is mounted: what has none cannot be. The one that is empty, until all
// are.
Status Root::Cover(const OwnedFd& place, const std::string& target, NodeType type,
                   const std::string& text) {
  const bool is_folder = type == NodeType::kDirectory;
  const bool is_plain = !is_folder && text.empty();
  if (is_plain && plain_cover_.valid()) {
    const Result<OwnedFd> tree = CloneTree(plain_cover_.get(), "", "what covers show");
    return tree ? Attach(*tree, place.get(), "", target) : Status(std::unexpected(tree.error()));
  }
  const char* name = is_plain ? kPlainCover : kCover;
  if (is_folder) {
    if (mkdirat(memory_.get(), name, 0555) != 0) return SystemError("mkdir(what covers show)");
  } else {
    const OwnedFd file(openat(memory_.get(), name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444));
    if (!file.valid() ||
        write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return SystemError("open(what covers show)");
    }
  }
  const Result<OwnedFd> tree = CloneTree(memory_.get(), name, "what covers show");
  if (!tree) return std::unexpected(tree.error());
  CORDON_TRY(Change(*tree, {.set = kQuiet | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC}, target));
  CORDON_TRY(Attach(*tree, place.get(), "", target));
  if (is_plain) {
    plain_cover_ = OpenBeneath(root_.get(), Inner(target), O_PATH);
    return plain_cover_.valid() ? Status() : SystemError("openat2(" + target + ", O_PATH)");
  }
  if (unlinkat(memory_.get(), name, is_folder ? AT_REMOVEDIR : 0) != 0) {
    return SystemError("unlinkat(what covers show)");
  }
  return {};
}

// A name of the kernel's, in a /proc that is fresh: a file and no link.
Status Root::CoverKernels(const Mount& mount) {
  const Result<OwnedFd> tree = CloneTree(plain_cover_.get(), "", "what covers show");
  if (!tree) return std::unexpected(tree.error());
  return Attach(*tree, root_.get(), Inner(mount.target), mount.target);
}

// By something of ours: each is hidden once.
bool Root::IsCovered(const OwnedFd& target) const {
  struct stat there = {};
  struct stat ours = {};
  return fstat(target.get(), &there) == 0 && fstat(memory_.get(), &ours) == 0 &&
         there.st_dev == ours.st_dev;
}

Status Root::MakeMask(const Mount& mount) {
  const Mount* covering = FindCovering(plan_, done_, mount.target);
  if (covering != nullptr && covering->kind == MountKind::kProc && plain_cover_.valid() &&
      mount.type == NodeType::kFile && ParentOf(mount.target) == covering->target) {
    return CoverKernels(mount);
  }
  OwnedFd target = OpenBeneath(root_.get(), Inner(mount.target), O_PATH);
  // Something else may have come since the plan was made; what has gone hides itself.
  if (!target.valid() && errno == ENOENT) {
    // A view of what was there before, or without it.
    if (plan_.workspace.shadow && policy::IsWithin(mount.target, plan_.workspace.mount)) return {};
    return Fail(ErrorCode::kInvalid, mount.target + " is to be hidden and has gone; plan again");
  }
  if (!target.valid()) return SystemError("openat2(" + mount.target + ", RESOLVE_NO_SYMLINKS)");
  // Directories were exchanged meanwhile: what was to be hidden here is somewhere else.
  if (IsCovered(target)) {
    return Fail(ErrorCode::kInvalid,
                mount.target + " became another file while it was hidden; plan again");
  }
  if (mount.pinned) {
    CORDON_TRY(PinParents(mount.target));
    target = OpenBeneath(root_.get(), Inner(mount.target), O_PATH);
    if (!target.valid()) return SystemError("openat2(" + mount.target + ", RESOLVE_NO_SYMLINKS)");
  }
  return Cover(target, mount.target,
               HasType(target, NodeType::kDirectory) ? NodeType::kDirectory : NodeType::kFile, "");
}

// The overlay shows the name; covered it stays as it is.
Status Root::MakePlaceholder(const Mount& mount) {
  const Mount* covering = FindCovering(plan_, plan_.mounts.size(), mount.target);
  const bool can_be_made =
      covering != nullptr && covering->kind == MountKind::kBind && !covering->read_only;
  if (!can_be_made) return {};
  CORDON_TRY(PinParents(mount.target));
  const OwnedFd target = OpenBeneath(root_.get(), Inner(mount.target), O_PATH);
  if (!target.valid()) return SystemError("openat2(" + mount.target + ", RESOLVE_NO_SYMLINKS)");
  struct stat stat = {};
  const bool is_folder = mount.type == NodeType::kDirectory;
  const std::string path =
      covering->source + mount.target.substr(covering->target == "/" ? 0 : covering->target.size());
  // Of the layer below, and of nothing that has come above it since the plan was made.
  if (fstat(target.get(), &stat) != 0 ||
      (is_folder ? !S_ISDIR(stat.st_mode) : !S_ISFIFO(stat.st_mode)) ||
      faccessat(AT_FDCWD, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    return Fail(ErrorCode::kInvalid, mount.target + " was not there and is now; plan again");
  }
  return Cover(target, mount.target, mount.type, mount.source);
}

}  // namespace

Result<OwnedFd> BuildRoot(const RootRequest& request) {
  Root root(request);
  if (const Status built = root.Build(); !built) return std::unexpected(built.error());
  return root.TakeStaged();
}

}  // namespace cordon::backend::native
