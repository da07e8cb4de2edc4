#include "backend/native/overlay.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>

#include "backend/native/fit.h"
#include "backend/native/mount_calls.h"
#include "policy/surroundings.h"

namespace cordon::backend::native {
namespace {

using policy::IfMissing;
using policy::Mount;
using policy::MountKind;
using policy::NodeType;
using policy::Plan;

bool IsStaged(const Mount& mount) {
  return mount.kind == MountKind::kBind && mount.if_missing == IfMissing::kStageFile;
}

// `path` without the directory it is in, and without the first slash.
std::string Below(const std::string& path, const std::string& directory) {
  return path.substr(directory == "/" ? 1 : directory.size() + 1);
}

std::string NameOf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// A backslash takes the meaning from what follows it.
std::string Escaped(const std::string& path) {
  std::string text;
  for (const char letter : path) {
    if (letter == '\\') text += '\\';
    text += letter;
  }
  return text;
}

// The layer with the names.
Status FillLayer(int layer, const OverlayRequest& request) {
  const Plan& plan = request.plan;
  size_t number = 0;
  for (const Mount& mount : plan.mounts) {
    const bool is_staged = IsStaged(mount);
    const size_t staged_number = is_staged ? number++ : 0;
    if (mount.kind != MountKind::kPlaceholder && !is_staged) continue;
    if (FindCovering(plan, plan.mounts.size(), mount.target) != &request.bind) continue;
    if (is_staged != request.bind.read_only) continue;
    const std::string path = Below(mount.target, request.bind.target);
    const std::string parent = path.substr(0, path.size() - NameOf(path).size());
    const Result<OwnedFd> folder =
        MakeDirectories(layer, parent.empty() ? "" : parent.substr(0, parent.size() - 1), 0755);
    if (!folder) return std::unexpected(folder.error());
    const std::string name = NameOf(path);
    int result = 0;
    if (is_staged) {
      const std::string text = std::string(kStagedFolder) + "/" + StagedPath(mount, staged_number);
      result = symlinkat(text.c_str(), folder->get(), name.c_str());
    } else if (mount.type == NodeType::kDirectory) {
      result = mkdirat(folder->get(), name.c_str(), 0755);
    } else {
      result = mkfifoat(folder->get(), name.c_str(), 0444);
    }
    if (result != 0) return SystemError("mknod(placeholder of " + mount.target + ")");
  }
  return {};
}

// The directory and those of its children that came into being over it.
void RemoveMarksIn(int directory) {
  constexpr const char* kMarks[] = {"user.overlay.opaque", "user.overlay.origin",
                                    "user.overlay.impure", "user.overlay.uuid"};
  OwnedFd own = OpenBeneath(directory, "", O_RDONLY | O_DIRECTORY);
  if (!own.valid()) return;
  for (const char* mark : kMarks) (void)fremovexattr(own.get(), mark);
  const std::unique_ptr<DIR, int (*)(DIR*)> list(fdopendir(own.get()), closedir);
  if (!list) return;
  const int folder = own.release();
  while (const dirent* entry = readdir(list.get())) {
    const std::string name = entry->d_name;
    if (entry->d_type != DT_DIR || name == "." || name == "..") continue;
    const OwnedFd child = OpenBeneath(folder, name, O_RDONLY | O_DIRECTORY);
    if (child.valid()) (void)fremovexattr(child.get(), kMarks[0]);
  }
}

}  // namespace

void RemoveMarks(const Plan& plan, const Mount& bind) {
  std::set<std::string> folders = {""};
  for (const Mount& mount : plan.mounts) {
    if (mount.kind != MountKind::kPlaceholder ||
        FindCovering(plan, plan.mounts.size(), mount.target) != &bind)
      continue;
    std::string path = Below(mount.target, bind.target);
    while (path.rfind('/') != std::string::npos) {
      path.resize(path.rfind('/'));
      folders.insert(path);
    }
  }
  const OwnedFd top(open(bind.source.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  for (const std::string& path : folders) {
    const OwnedFd folder = OpenBeneath(top.get(), path, O_PATH | O_DIRECTORY);
    if (folder.valid()) RemoveMarksIn(folder.get());
  }
}

std::vector<const Mount*> StagedFiles(const Plan& plan) {
  std::vector<const Mount*> files;
  for (const Mount& mount : plan.mounts) {
    if (IsStaged(mount)) files.push_back(&mount);
  }
  return files;
}

std::string StagedPath(const Mount& mount, size_t number) {
  return std::to_string(number) + "/" + NameOf(mount.target);
}

Layers LayersOf(const Plan& plan, const Mount& bind) {
  if (bind.kind != MountKind::kBind || IsStaged(bind)) return Layers::kNone;
  if (IsView(plan, bind)) return Layers::kNone;
  const bool is_needed = std::ranges::any_of(plan.mounts, [&](const Mount& mount) {
    const bool is_wanted = bind.read_only ? IsStaged(mount) : mount.kind == MountKind::kPlaceholder;
    return is_wanted && policy::IsWithin(mount.target, bind.target) &&
           FindCovering(plan, plan.mounts.size(), mount.target) == &bind;
  });
  if (!is_needed) return Layers::kNone;
  return bind.read_only ? Layers::kReadOnly : Layers::kWritable;
}

bool IsView(const Plan& plan, const Mount& bind) {
  return plan.workspace.shadow && bind.kind == MountKind::kBind && bind.name == "workspace" &&
         bind.source == plan.workspace.root;
}

Result<OwnedFd> MakeOverlay(const OverlayRequest& request) {
  const Result<OwnedFd> layer =
      NewFileSystem("tmpfs", {{"mode", "0755"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  if (!layer) return std::unexpected(layer.error());
  if (const Status filled = FillLayer(layer->get(), request); !filled) {
    return std::unexpected(filled.error());
  }
  // Layers are named by paths (by descriptors only since Linux 6.13): this one has a path for the
  // moment, the host's directory is the working directory, so that no name of it is looked up
  // again.
  if (const Status attached = Attach(*layer, AT_FDCWD, request.stage, request.stage); !attached) {
    return std::unexpected(attached.error());
  }
  if (fchdir(request.source) != 0) return SystemError("fchdir(" + request.bind.source + ")");
  Options options = {{"userxattr", ""}};
  uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (request.bind.read_only) {
    options.emplace_back("lowerdir", request.stage + ":.");
    attributes |= MOUNT_ATTR_RDONLY;
  } else {
    options.emplace_back("lowerdir", request.stage);
    options.emplace_back("upperdir", ".");
    options.emplace_back("workdir", Escaped(request.work_folder));
  }
  Result<OwnedFd> made = NewFileSystem("overlay", options, attributes);
  if (umount2(request.stage.c_str(), MNT_DETACH) != 0) {
    return SystemError("umount2(layer of names)");
  }
  if (!made) {
    return Fail(ErrorCode::kUnsupported,
                "names in " + request.bind.source +
                    " that are not there yet cannot be protected or staged: no overlay on its file "
                    "system (" +
                    made.error().message +
                    "); make them, or name the folders to write in writable_paths");
  }
  return made;
}

}  // namespace cordon::backend::native
