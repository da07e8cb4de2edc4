#ifndef CORDON_VFS_PATH_WALK_H_
#define CORDON_VFS_PATH_WALK_H_

// From a path to a node: symbolic links, `..`, mounts and search permission, as path_resolution(7)
// says.

#include <atomic>
#include <cstdint>
#include <string_view>

#include "vfs/filesystem.h"

namespace cordon::vfs {

inline constexpr uint32_t kMaxMounts = 65;  // those that are unmounted keep their places
inline constexpr uint32_t kMaxLinks = 40;
inline constexpr uint32_t kMaxName = 255;
inline constexpr uint32_t kMaxPath = 4096;

// A mounted root covers a directory of another file system, or of the same one. Rows are added, and
// detached, but never changed otherwise: whoever walks takes no lock.
struct Mount {
  Node covered;
  Node root;
  std::atomic<bool> is_detached{false};  // nothing leads there any more; `..` still leads out
};
struct MountTable {
  Mount mounts[kMaxMounts];
  std::atomic<uint32_t> count{0};
};

enum WalkMode { kFollow, kNoFollow };  // of the last component

// The last component of a path, and whether slashes came after it.
struct LastName {
  char text[kMaxName + 1];
  uint32_t size = 0;
  bool trailing_slash = false;
  [[nodiscard]] std::string_view view() const { return {text, size}; }
  // "." or ".." or the root: not a name that can be made or removed.
  [[nodiscard]] bool is_dots() const { return size == 0 || view() == "." || view() == ".."; }
};

// On success `out` is referenced. -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG.
int Walk(const MountTable& mounts, const Credentials& who, Node root, Node start,
         std::string_view path, WalkMode mode, Node* out);
// The directory that the last component is in.
int WalkToParent(const MountTable& mounts, const Credentials& who, Node root, Node start,
                 std::string_view path, Node* directory, LastName* name);
// Creates what the path names, through a dangling link if there is one; -EEXIST if it exists by
// now.
int WalkAndCreate(const MountTable& mounts, const Credentials& who, Node root, Node start,
                  std::string_view path, uint32_t mode, Node* out);

// The path of a directory with its final zero: its size, -ENOENT when it was removed, -ERANGE.
int64_t PathOf(const MountTable& mounts, Node root, Node directory, char* to, uint64_t size);

}  // namespace cordon::vfs

#endif  // CORDON_VFS_PATH_WALK_H_
