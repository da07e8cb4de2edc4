#include "vfs/path_walk.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cordon::vfs {
namespace {

constexpr uint32_t kSearch = 1;  // X_OK

// Moves through directories with one reference on where it is. Links are not followed by recursion:
// the kernel's stack is small, and a guest chooses how many there are.
class Walker {
 public:
  Walker(const MountTable& mounts, const Credentials& who, Node root, Node start,
         std::string_view path)
      : mounts_(mounts), who_(who), root_(root), left_(path) {
    at_ = !path.empty() && path[0] == '/' ? root : start;
    at_.fs->Reference(at_.id);
  }
  Walker(const Walker&) = delete;
  Walker& operator=(const Walker&) = delete;
  ~Walker() { Drop(); }

  // Walks all components, or, with a `name` to put it into, all but the last.
  int Run(WalkMode mode, LastName* name) {
    if (left_.size() >= kMaxPath) return -ENAMETOOLONG;
    if (left_.empty()) return -ENOENT;
    ReadMode();
    int error = 0;
    while (error == 0) {
      left_ = SkipSlashes(left_);
      const std::string_view part = left_.substr(0, left_.find('/'));
      left_.remove_prefix(part.size());
      const bool trailing_slash = !left_.empty();
      const bool last = SkipSlashes(left_).empty();
      if (part.size() > kMaxName) return -ENAMETOOLONG;
      if (last && name != nullptr) {
        memcpy(name->text, part.data(), part.size());
        name->text[part.size()] = 0;
        name->size = static_cast<uint32_t>(part.size());
        name->trailing_slash = trailing_slash;
        return MaySearch();
      }
      if (!part.empty()) error = Step(part, !last || trailing_slash ? kFollow : mode);
      // A link as the last component leaves its target to be walked.
      if (error == 0 && SkipSlashes(left_).empty())
        return left_.empty() && !part.empty() ? 0 : RequireDirectory();
    }
    return error;
  }

  Node Take() {
    const Node taken = at_;
    at_ = {};
    return taken;
  }

 private:
  static std::string_view SkipSlashes(std::string_view path) {
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    return path;
  }

  void Drop() {
    if (at_.fs != nullptr) at_.fs->Release(at_.id);
  }

  void ReadMode() { mode_ = at_.fs->ModeOf(at_.id); }
  [[nodiscard]] int RequireDirectory() const { return S_ISDIR(mode_) ? 0 : -ENOTDIR; }
  int MaySearch() {
    const int error = RequireDirectory();
    return error != 0 ? error : at_.fs->Access(who_, at_.id, kSearch);
  }

  // One component, through a link if it is one and `mode` says so.
  int Step(std::string_view name, WalkMode mode) {
    int error = MaySearch();
    if (error != 0 || name == ".") return error;
    if (name == "..") return Up();
    Node next;
    error = at_.fs->Lookup(who_, at_.id, name, &next);
    if (error != 0) return error;
    const uint32_t next_mode = next.fs->ModeOf(next.id);
    if (!S_ISLNK(next_mode) || mode == kNoFollow) {
      Move(next, next_mode);
      return 0;
    }
    error = FollowLink(next);
    next.fs->Release(next.id);
    return error;
  }

  // Takes over the reference on `next`, and crosses into what is mounted there.
  void Move(Node next, uint32_t mode) {
    bool crossed = false;
    for (uint32_t i = 0; S_ISDIR(mode) && i < mounts_.count; ++i) {
      if (mounts_.mounts[i].covered != next || mounts_.mounts[i].is_detached.load()) continue;
      next.fs->Release(next.id);
      next = mounts_.mounts[i].root;
      next.fs->Reference(next.id);
      crossed = true;
    }
    Drop();
    at_ = next;
    mode_ = mode;
    if (crossed) ReadMode();
  }

  int Up() {
    // The root may itself be a mounted one.
    if (at_ == root_) return 0;
    for (uint32_t i = mounts_.count; i-- > 0;) {
      if (mounts_.mounts[i].root != at_) continue;
      Drop();
      at_ = mounts_.mounts[i].covered;
      at_.fs->Reference(at_.id);
    }
    Node parent;
    const int error = at_.fs->Parent(at_.id, &parent);
    if (error != 0) return error;
    Drop();
    at_ = parent;
    ReadMode();
    return 0;
  }

  // What is left to walk becomes the target and what was left behind the link.
  int FollowLink(const Node& link) {
    if (++links_ > kMaxLinks) return -ELOOP;
    Node target_node;
    const int leads = link.fs->FollowTo(link.id, &target_node);
    if (leads < 0) return leads;
    if (leads > 0) {
      Move(target_node, target_node.fs->ModeOf(target_node.id));
      return 0;
    }
    if (left_.size() > kMaxPath) return -ENAMETOOLONG;
    char* rest = buffer_ + sizeof buffer_ - left_.size();
    memmove(rest, left_.data(), left_.size());
    const int64_t size = link.fs->ReadLink(link.id, buffer_, kMaxPath);
    if (size <= 0) return size == 0 ? -ENOENT : static_cast<int>(size);
    char* target = rest - size;
    memmove(target, buffer_, static_cast<size_t>(size));
    left_ = {target, static_cast<size_t>(size) + left_.size()};
    if (*target != '/') return 0;
    Drop();
    at_ = root_;
    at_.fs->Reference(at_.id);
    ReadMode();
    return 0;
  }

  const MountTable& mounts_;
  const Credentials& who_;
  Node root_;
  Node at_;
  uint32_t mode_ = 0;  // of at_
  uint32_t links_ = 0;
  std::string_view left_;  // in the caller's path, or in buffer_ after a link
  char buffer_[2 * kMaxPath];
};

}  // namespace

int Walk(const MountTable& mounts, const Credentials& who, Node root, Node start,
         std::string_view path, WalkMode mode, Node* out) {
  Walker walker(mounts, who, root, start, path);
  const int error = walker.Run(mode, nullptr);
  if (error == 0) *out = walker.Take();
  return error;
}

int WalkToParent(const MountTable& mounts, const Credentials& who, Node root, Node start,
                 std::string_view path, Node* directory, LastName* name) {
  Walker walker(mounts, who, root, start, path);
  const int error = walker.Run(kFollow, name);
  if (error == 0) *directory = walker.Take();
  return error;
}

int WalkAndCreate(const MountTable& mounts, const Credentials& who, Node root, Node start,
                  std::string_view path, uint32_t mode, Node* out) {
  char target[kMaxPath];
  Node place = start;
  place.fs->Reference(place.id);
  int error = -ELOOP;
  for (uint32_t links = 0; links <= kMaxLinks; ++links) {
    Node directory;
    LastName name;
    error = WalkToParent(mounts, who, root, place, path, &directory, &name);
    place.fs->Release(place.id);
    if (error != 0) return error;
    place = directory;
    if (name.is_dots() || name.trailing_slash) {
      error = -EISDIR;
      break;
    }
    error = directory.fs->Create(who, directory.id, name.view(), mode, 0, out);
    if (error != -EEXIST) break;
    // A link to nothing: what it points to is created.
    Node link;
    if (directory.fs->Lookup(who, directory.id, name.view(), &link) != 0) break;
    const int64_t size = link.fs->ReadLink(link.id, target, sizeof target);
    link.fs->Release(link.id);
    if (size <= 0) break;
    path = {target, static_cast<size_t>(size)};
    error = -ELOOP;
  }
  place.fs->Release(place.id);
  return error;
}

int64_t PathOf(const MountTable& mounts, Node root, Node directory, char* to, uint64_t size) {
  // Built from the end: each parent is asked under which name it has the child.
  char text[kMaxPath];
  uint64_t at = sizeof text - 1;
  text[at] = 0;
  Node node = directory;
  node.fs->Reference(node.id);
  struct Search {
    uint64_t inode;
    char name[kMaxName + 1];
    uint32_t size;
  };
  int error = 0;
  while (node != root) {
    for (uint32_t i = 0; i < mounts.count; ++i) {
      if (mounts.mounts[i].root != node) continue;
      node.fs->Release(node.id);
      node = mounts.mounts[i].covered;
      node.fs->Reference(node.id);
      break;
    }
    Stat stat;
    Node parent;
    error = node.fs->GetStat(node.id, &stat);
    if (error == 0) error = stat.links == 0 ? -ENOENT : node.fs->Parent(node.id, &parent);
    if (error != 0) break;
    Search search = {stat.inode, {}, 0};
    const auto compare = [](void* cookie, std::string_view name, uint64_t inode, uint32_t /*type*/,
                            uint64_t /*next*/) {
      auto* wanted = static_cast<Search*>(cookie);
      if (inode != wanted->inode) return true;
      memcpy(wanted->name, name.data(), name.size());
      wanted->size = static_cast<uint32_t>(name.size());
      return false;
    };
    error = parent.fs->List(parent.id, 0, {&search, compare});
    node.fs->Release(node.id);
    node = parent;
    if (error == 0 && search.size == 0) error = -ENOENT;
    if (error == 0 && at < search.size + 1) error = -ENAMETOOLONG;
    if (error != 0) break;
    at -= search.size;
    memcpy(text + at, search.name, search.size);
    text[--at] = '/';
  }
  node.fs->Release(node.id);
  if (error != 0) return error;
  if (at == sizeof text - 1) text[--at] = '/';
  const uint64_t length = sizeof text - at;
  if (length > size) return -ERANGE;
  memcpy(to, text + at, length);
  return static_cast<int64_t>(length);
}

}  // namespace cordon::vfs
