#include "backend/native/mount_calls.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

namespace cordon::backend::native {

using policy::NodeType;

OwnedFd OpenBeneath(int directory, const std::string& path, uint64_t flags) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return OwnedFd(static_cast<int>(
      syscall(SYS_openat2, directory, path.empty() ? "." : path.c_str(), &how, sizeof how)));
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

Result<OwnedFd> MakeDirectories(int directory, const std::string& path, mode_t mode) {
  OwnedFd at = OpenBeneath(directory, path, O_PATH | O_DIRECTORY);
  if (at.valid()) return at;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    const int here = at.valid() ? at.get() : directory;
    OwnedFd next = OpenBeneath(here, name, O_PATH | O_DIRECTORY);
    if (!next.valid() && errno == ENOENT) {
      if (mkdirat(here, name.c_str(), mode) != 0 && errno != EEXIST) {
        return SystemError("mkdir(" + path.substr(0, end) + ")");
      }
      next = OpenBeneath(here, name, O_PATH | O_DIRECTORY);
    }
    if (!next.valid()) return SystemError("openat2(" + path.substr(0, end) + ", RESOLVE_BENEATH)");
    at = std::move(next);
    begin = end + 1;
  }
  return at;
}

Result<OwnedFd> CloneTree(int directory, const std::string& path, const std::string& shown) {
  OwnedFd tree(open_tree(directory, path.c_str(),
                         AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree.valid()) return SystemError("open_tree(" + shown + ", OPEN_TREE_CLONE)");
  return tree;
}

Status Change(const OwnedFd& tree, Attributes attributes, const std::string& shown) {
  mount_attr change = {};
  change.attr_set = attributes.set;
  change.attr_clr = attributes.clear;
  if (mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) != 0) {
    return SystemError("mount_setattr(" + shown + ")");
  }
  return {};
}

Result<OwnedFd> NewFileSystem(const char* type, const Options& options, uint64_t attributes) {
  const OwnedFd context(fsopen(type, FSOPEN_CLOEXEC));
  if (!context.valid()) return SystemError(std::string("fsopen(") + type + ")");
  for (const auto& [name, value] : options) {
    const int result =
        value.empty()
            ? fsconfig(context.get(), FSCONFIG_SET_FLAG, name.c_str(), nullptr, 0)
            : fsconfig(context.get(), FSCONFIG_SET_STRING, name.c_str(), value.c_str(), 0);
    if (result != 0) {
      std::string call = "fsconfig(";
      call.append(type).append(", ").append(name).append("=").append(value).append(")");
      return SystemError(call);
    }
  }
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return SystemError(std::string("fsconfig(") + type + ", FSCONFIG_CMD_CREATE)");
  }
  OwnedFd made(fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
  if (!made.valid()) return SystemError(std::string("fsmount(") + type + ")");
  return made;
}

Status Attach(const OwnedFd& tree, int directory, const std::string& path,
              const std::string& shown) {
  const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (path.empty() ? MOVE_MOUNT_T_EMPTY_PATH : 0);
  if (move_mount(tree.get(), "", directory, path.c_str(), flags) != 0) {
    return SystemError("move_mount(" + shown + ")");
  }
  return {};
}

std::vector<std::string> MountPointsOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/mountinfo");
  std::vector<std::string> points;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 5; ++i) words >> word;
    // Blanks, line breaks and backslashes are three octal digits after a backslash.
    std::string point;
    for (size_t i = 0; i < word.size(); ++i) {
      if (word[i] != '\\' || i + 3 >= word.size()) {
        point += word[i];
        continue;
      }
      int code = 0;
      for (int digit = 0; digit < 3; ++digit) code = code * 8 + (word[++i] - '0');
      point += static_cast<char>(code);
    }
    points.push_back(std::move(point));
  }
  return points;
}

}  // namespace cordon::backend::native
