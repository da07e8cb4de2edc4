#include "vfs/path_walk.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cordon::vfs {
namespace {

constexpr uint32_t kSearch = 1;  // X_OK

// Moves through directories with one reference on where it is.
class Walker {
 public:
  Walker(const MountTable& mounts, const Credentials& who, Node root, Node start,
         std::string_view path)
      : mounts_(mounts), who_(who), root_(root) {
    at_ = !path.empty() && path[0] == '/' ? root : start;
    at_.fs->Reference(at_.id);
  }
  Walker(const Walker&) = delete;
  Walker& operator=(const Walker&) = delete;
  ~Walker() { Drop(); }

  // Walks all components but the last, which goes to `name`.
  int ToParent(std::string_view path, LastName* name) {
    if (path.size() >= kMaxPath) return -ENAMETOOLONG;
    if (path.empty()) return -ENOENT;
    for (;;) {
      path = SkipSlashes(path);
      const std::string_view part = path.substr(0, path.find('/'));
      const std::string_view rest = path.substr(part.size());
      if (part.size() > kMaxName) return -ENAMETOOLONG;
      if (SkipSlashes(rest).empty()) {
        memcpy(name->text, part.data(), part.size());
        name->text[part.size()] = 0;
        name->size = static_cast<uint32_t>(part.size());
        name->trailing_slash = !rest.empty();
        return RequireDirectory();
      }
      const int error = Step(part, kFollow);
      if (error != 0) return error;
      path = rest;
    }
  }

  int To(std::string_view path, WalkMode mode) {
    LastName name;
    int error = ToParent(path, &name);
    if (error != 0 || name.size == 0) return error;
    error = Step(name.view(), name.trailing_slash ? kFollow : mode);
    return error == 0 && name.trailing_slash ? RequireDirectory() : error;
  }

  // One component, through a link if it is one and `mode` says so.
  int Step(std::string_view name, WalkMode mode) {
    int error = RequireDirectory();
    if (error == 0) error = at_.fs->Access(who_, at_.id, kSearch);
    if (error != 0 || name == ".") return error;
    if (name == "..") return Up();
    Node next;
    error = at_.fs->Lookup(who_, at_.id, name, &next);
    if (error != 0) return error;
    Stat stat;
    error = next.fs->GetStat(next.id, &stat);
    if (error == 0 && (!S_ISLNK(stat.mode) || mode == kNoFollow)) return Move(next);
    if (error == 0) error = FollowLink(next);
    next.fs->Release(next.id);
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

  // Takes over the reference on `next`, and crosses into what is mounted there.
  int Move(Node next) {
    for (uint32_t i = 0; i < mounts_.count; ++i) {
      if (mounts_.mounts[i].covered != next) continue;
      next.fs->Release(next.id);
      next = mounts_.mounts[i].root;
      next.fs->Reference(next.id);
    }
    Drop();
    at_ = next;
    return 0;
  }

  int Up() {
    if (at_ == root_) return 0;
    for (uint32_t i = 0; i < mounts_.count; ++i) {
      if (mounts_.mounts[i].root != at_) continue;
      Drop();
      at_ = mounts_.mounts[i].covered;
      at_.fs->Reference(at_.id);
      break;
    }
    Node parent;
    const int error = at_.fs->Parent(at_.id, &parent);
    if (error != 0) return error;
    Drop();
    at_ = parent;
    return 0;
  }

  int RequireDirectory() {
    Stat stat;
    const int error = at_.fs->GetStat(at_.id, &stat);
    return error != 0 ? error : S_ISDIR(stat.mode) ? 0 : -ENOTDIR;
  }

  int FollowLink(const Node& link) {
    if (++links_ > kMaxLinks) return -ELOOP;
    char target[kMaxPath];
    const int64_t size = link.fs->ReadLink(link.id, target, sizeof target);
    if (size <= 0) return size == 0 ? -ENOENT : static_cast<int>(size);
    if (target[0] == '/') {
      Drop();
      at_ = root_;
      at_.fs->Reference(at_.id);
    }
    return To({target, static_cast<size_t>(size)}, kFollow);
  }

  const MountTable& mounts_;
  const Credentials& who_;
  Node root_;
  Node at_;
  uint32_t links_ = 0;
};

}  // namespace

int Walk(const MountTable& mounts, const Credentials& who, Node root, Node start,
         std::string_view path, WalkMode mode, Node* out) {
  Walker walker(mounts, who, root, start, path);
  const int error = walker.To(path, mode);
  if (error == 0) *out = walker.Take();
  return error;
}

int WalkToParent(const MountTable& mounts, const Credentials& who, Node root, Node start,
                 std::string_view path, Node* directory, LastName* name) {
  Walker walker(mounts, who, root, start, path);
  int error = walker.ToParent(path, name);
  if (error == 0) error = walker.Step(".", kFollow);  // search permission
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
