#include "shadow/view.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "shadow/remove.h"

namespace cordon::shadow {
namespace {

constexpr const char* kBelow = "lower";
constexpr const char* kAbove = "upper";
constexpr const char* kScratch = "work";

class SavedDirectory {
 public:
  SavedDirectory() : saved_(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) {}
  SavedDirectory(const SavedDirectory&) = delete;
  SavedDirectory& operator=(const SavedDirectory&) = delete;
  ~SavedDirectory() {
    if (saved_.valid() && fchdir(saved_.get()) != 0) (void)chdir("/");
  }

 private:
  OwnedFd saved_;
};

Result<OwnedFd> CloneMount(const OwnedFd& directory, const std::string& name) {
  OwnedFd tree(open_tree(directory.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree.valid()) return SystemError("open_tree(" + name + ", OPEN_TREE_CLONE)");
  return tree;
}

// In the directory that has the three others.
Result<OwnedFd> MountOverlay() {
  const OwnedFd context(fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context.valid()) return SystemError("fsopen(overlay)");
  // Relative names: nothing in the paths of users can be taken for a separator of options. What
  // would make the upper directory refer to others by name is off.
  constexpr std::pair<const char*, const char*> kOptions[] = {
      {"lowerdir", kBelow}, {"upperdir", kAbove}, {"workdir", kScratch}, {"index", "off"}};
  for (const auto& [key, value] : kOptions) {
    if (fsconfig(context.get(), FSCONFIG_SET_STRING, key, value, 0) != 0)
      return SystemError(std::string("fsconfig(overlay, ") + key + ")");
  }
  if (fsconfig(context.get(), FSCONFIG_SET_FLAG, "userxattr", nullptr, 0) != 0)
    return SystemError("fsconfig(overlay, userxattr)");
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return SystemError("fsconfig(overlay, FSCONFIG_CMD_CREATE)");
  OwnedFd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  if (!mount.valid()) return SystemError("fsmount(overlay)");
  return mount;
}

Result<OwnedFd> OpenSame(const std::string& path, uint64_t device, uint64_t inode) {
  OwnedFd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return SystemError("open(" + path + ")");
  const Result<Stat> stat = LookAtOpen(fd.get());
  if (!stat) return std::unexpected(stat.error());
  if (stat->identity.device != device || stat->identity.inode != inode)
    return Fail(ErrorCode::kInvalid, "is not the directory any more that it was", path);
  return fd;
}

Result<OwnedFd> OverlayOn(const std::string& folder, const OwnedFd& below) {
  const Result<OwnedFd> tree = CloneMount(below, "workspace");
  if (!tree) return std::unexpected(tree.error());
  const SavedDirectory saved;
  if (chdir(folder.c_str()) != 0) return SystemError("chdir(" + folder + ")");
  if (move_mount(tree->get(), "", AT_FDCWD, kBelow, MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return SystemError("move_mount(workspace)");
  Result<OwnedFd> mount = MountOverlay();
  // The overlay keeps what it needs of it.
  if (umount2(kBelow, MNT_DETACH) != 0 && mount) return SystemError("umount2(workspace)");
  return mount;
}

// --- trying it ---

bool WriteText(const char* path, const std::string& text) {
  const OwnedFd fd(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  return fd.valid() && write(fd.get(), text.data(), text.size()) == std::ssize(text);
}

bool EnterNamespaces(uid_t uid, gid_t gid) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) {
    (void)WriteText("/proc/self/setgroups", "deny");
    const std::string user = std::to_string(uid) + " " + std::to_string(uid) + " 1";
    const std::string group = std::to_string(gid) + " " + std::to_string(gid) + " 1";
    if (!WriteText("/proc/self/uid_map", user) || !WriteText("/proc/self/gid_map", group))
      return false;
  } else if (unshare(CLONE_NEWNS) != 0) {
    return false;
  }
  return mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

// What a command may do that a diff must see: 0, or the reason.
int Exercise(const std::string& folder, const std::string& workspace) {
  const Result<OwnedFd> over = MakeOverlay(folder, folder + "/sample");
  if (!over) return over.error().system_errno;
  if (fchdir(over->get()) != 0) return errno;
  if (unlink("file") != 0 || rmdir("folder") != 0 || mkdir("folder", 0700) != 0) return errno;
  if (!WriteText("folder/new", "x") || !WriteText("other", "changed")) return errno;
  const Result<OwnedFd> real = MakeOverlay(folder, workspace);
  return real ? 0 : real.error().system_errno;
}

Status CheckTraces(const std::string& folder) {
  struct stat stat = {};
  const std::string gone = folder + "/upper/file";
  if (lstat(gone.c_str(), &stat) != 0 || !S_ISCHR(stat.st_mode) || stat.st_rdev != 0)
    return Fail(ErrorCode::kUnsupported, "an overlay here does not record removals");
  char value = 0;
  const std::string replaced = folder + "/upper/folder";
  if (getxattr(replaced.c_str(), "user.overlay.opaque", &value, 1) != 1 || value != 'y')
    return Fail(ErrorCode::kUnsupported, "an overlay here does not record replaced directories");
  return {};
}

}  // namespace

Result<View> View::Open(const Store& store, const std::string& id) {
  Result<Shadow> shadow = store.OpenShadow(id, Use::kShared);
  if (!shadow) return std::unexpected(shadow.error());
  if (shadow->Has("journal")) {
    return Fail(ErrorCode::kInvalid, "a commit did not come to its end; cordon diff repairs that",
                "shadow " + id);
  }
  return View(std::move(*shadow));
}

Result<OwnedFd> View::MakeMount() const {
  const ShadowInfo& about = shadow_.info();
  if (about.mode == Mode::kOverlay) {
    const Result<OwnedFd> below =
        OpenSame(about.workspace, about.workspace_device, about.workspace_inode);
    if (!below) return std::unexpected(below.error());
    return OverlayOn(shadow_.folder(), *below);
  }
  const std::string path = shadow_.folder() + "/tree";
  const OwnedFd tree(open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!tree.valid()) return SystemError("open(" + path + ")");
  Result<OwnedFd> clone = CloneMount(tree, path);
  if (!clone) return clone;
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (mount_setattr(clone->get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return SystemError("mount_setattr(" + path + ")");
  return clone;
}

Result<OwnedFd> MakeOverlay(const std::string& folder, const std::string& below) {
  const OwnedFd fd(open(below.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("open(" + below + ")");
  return OverlayOn(folder, fd);
}

Status ProbeOverlay(const std::string& folder, const std::string& workspace) {
  for (const char* name : {"/upper", "/work", "/lower", "/sample", "/sample/folder"}) {
    const std::string path = folder + name;
    if (mkdir(path.c_str(), 0700) != 0) return SystemError("mkdir(" + path + ")");
  }
  for (const char* name : {"/sample/file", "/sample/other"}) {
    if (!WriteText((folder + name).c_str(), "sample")) return SystemError("write(sample)");
  }
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  const pid_t pid = fork();
  if (pid < 0) return SystemError("fork");
  if (pid == 0) _exit(EnterNamespaces(uid, gid) ? Exercise(folder, workspace) : errno);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  Status result;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    result =
        SystemError("overlay in a user namespace", WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
  } else {
    result = CheckTraces(folder);
  }
  const OwnedFd fd(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const char* name : {"upper", "work", "lower", "sample"}) {
    if (const Status removed = RemoveTree(fd.get(), name); !removed && result) result = removed;
  }
  return result;
}

}  // namespace cordon::shadow
