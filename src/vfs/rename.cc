// Removing and renaming. Both hold MemoryFs::rename_lock_ where directories come or go, so that
// parents stay as they are while ancestors are compared and locks are taken.

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "vfs/inode.h"

namespace cordon::vfs {
namespace {

constexpr uint32_t kSearch = 1;
constexpr uint32_t kWrite = 2;
constexpr uint32_t kNoReplace = 1;
constexpr uint32_t kExchange = 2;
constexpr int kAgain = 1;

// Locks up to three directories, which may be the same or null, in the order of their addresses.
class DirectoryLocks {
 public:
  DirectoryLocks(Inode* a, Inode* b, Inode* c) : inodes_{a, b, c} {
    std::ranges::sort(inodes_);
    for (size_t i = 0; i < inodes_.size(); ++i) {
      if (Counts(i)) inodes_[i]->lock.Lock(LockRank::kDirectory);
    }
  }
  ~DirectoryLocks() {
    for (size_t i = inodes_.size(); i-- > 0;) {
      if (Counts(i)) inodes_[i]->lock.Unlock();
    }
  }
  DirectoryLocks(const DirectoryLocks&) = delete;
  DirectoryLocks& operator=(const DirectoryLocks&) = delete;

 private:
  [[nodiscard]] bool Counts(size_t i) const {
    return inodes_[i] != nullptr && (i == 0 || inodes_[i] != inodes_[i - 1]);
  }
  std::array<Inode*, 3> inodes_;
};

bool IsAncestor(const Inode* ancestor, const Inode* directory) {
  for (; directory != nullptr; directory = directory->directory->parent) {
    if (directory == ancestor) return true;
  }
  return false;
}

}  // namespace

struct MemoryFs::RenameEnds {
  Inode* from;
  std::string_view from_name;
  Inode* to;
  std::string_view to_name;
  Inode* moved = nullptr;
  Inode* target = nullptr;  // what has the new name
};

// Permission, the sticky bit, and the right kind of removal for what it is.
int MemoryFs::CheckRemoval(const Credentials& who, const Inode& directory, const Inode& victim,
                           Removal kind) {
  const int error = Access(who, IdOf(&directory), kWrite | kSearch);
  if (error != 0) return error;
  if ((directory.mode & S_ISVTX) != 0 && who.uid != 0 && who.uid != directory.uid &&
      who.uid != victim.uid)
    return -EPERM;
  if (kind == Removal::kDirectory) return victim.is(S_IFDIR) ? 0 : -ENOTDIR;
  return victim.is(S_IFDIR) ? -EISDIR : 0;
}

// A name of a file is gone: its link, and the reference that the entry held.
void MemoryFs::DropLink(Inode* inode) {
  if (inode->links.fetch_sub(1) == 1 && inode->image != kNoImage) {
    const uint32_t slot = image_->inode(inode->image).shared_slot;
    if (slot != 0) {
      // With the last name nothing of the image can lead here any more.
      shared_[slot - 1] = nullptr;
      Unref(inode);
    }
  }
  Unref(inode);
}

int MemoryFs::Remove(const Credentials& who, uint64_t id, std::string_view name, Removal kind) {
  if (!InodeOf(id)->is(S_IFDIR)) return -ENOTDIR;
  return kind == Removal::kFile ? RemoveFile(who, InodeOf(id), name)
                                : RemoveDirectory(who, InodeOf(id), name);
}

int MemoryFs::RemoveFile(const Credentials& who, Inode* directory, std::string_view name) {
  Inode* victim = nullptr;
  {
    const ExclusiveLock lock(directory->lock, LockRank::kDirectory);
    int error = Materialise(directory);
    if (error == 0) victim = Find(directory, name, &error);
    if (victim == nullptr) return error;
    error = CheckRemoval(who, *directory, *victim, Removal::kFile);
    if (error != 0) return error;
    Erase(directory, name);
    Touch(directory);
    victim->ctime = directory->ctime.load();
  }
  DropLink(victim);
  return 0;
}

int MemoryFs::RemoveDirectory(const Credentials& who, Inode* directory, std::string_view name) {
  const MutexLock rename_lock(rename_lock_, LockRank::kRename);
  Inode* victim = nullptr;
  // The victim is locked too, so that nothing is made in it; which one it is, is known only after
  // the directory was locked once.
  for (Inode* locked = nullptr;; locked = victim) {
    const DirectoryLocks locks(directory, locked, nullptr);
    int error = Materialise(directory);
    victim = error == 0 ? Find(directory, name, &error) : nullptr;
    if (victim == nullptr) return error;
    error = CheckRemoval(who, *directory, *victim, Removal::kDirectory);
    if (error != 0) return error;
    if (victim->part != directory->part) return -EBUSY;
    if (victim != locked) continue;
    if (!IsEmpty(*victim)) return -ENOTEMPTY;
    victim->links = 0;
    directory->links.fetch_sub(1);
    Erase(directory, name);
    Touch(directory);
    victim->ctime = directory->ctime.load();
    break;
  }
  Unref(victim);
  return 0;
}

int MemoryFs::FindEnds(RenameEnds* ends, uint32_t flags) {
  int error = Materialise(ends->from);
  if (error != 0) return error;
  ends->moved = Find(ends->from, ends->from_name, &error);
  if (ends->moved == nullptr) return error;
  if (ends->to->links.load() == 0) return -ENOENT;
  ends->target = Find(ends->to, ends->to_name, &error);
  if (ends->target == nullptr) return error != -ENOENT || (flags & kExchange) != 0 ? error : 0;
  return (flags & kNoReplace) != 0 ? -EEXIST : 0;
}

// The order of Linux's own checks, so that the errors are the same.
int MemoryFs::CheckRename(const Credentials& who, const RenameEnds& ends, uint32_t flags) {
  const Inode* moved = ends.moved;
  const Inode* target = ends.target;
  const bool exchange = (flags & kExchange) != 0;
  if (moved->is(S_IFDIR) && IsAncestor(moved, ends.to)) return -EINVAL;
  if (target != nullptr && target->is(S_IFDIR) && IsAncestor(target, ends.from))
    return exchange ? -EINVAL : -ENOTEMPTY;
  if (moved == target) return 0;
  const auto kind_of = [](const Inode* inode) {
    return inode->is(S_IFDIR) ? Removal::kDirectory : Removal::kFile;
  };
  int error = CheckRemoval(who, *ends.from, *moved, kind_of(moved));
  if (error == 0 && target == nullptr) error = Access(who, IdOf(ends.to), kWrite | kSearch);
  if (error == 0 && target != nullptr)
    error = CheckRemoval(who, *ends.to, *target, kind_of(exchange ? target : moved));
  // Its `..` changes, which is writing to it.
  if (error == 0 && ends.from != ends.to && moved->is(S_IFDIR))
    error = Access(who, IdOf(moved), kWrite);
  if (error == 0 && ends.from != ends.to && exchange && target->is(S_IFDIR))
    error = Access(who, IdOf(target), kWrite);
  // What another part is mounted on.
  if (error == 0 &&
      (moved->part != ends.from->part || (target != nullptr && target->part != ends.to->part)))
    return -EBUSY;
  if (error == 0 && target != nullptr && !exchange && target->is(S_IFDIR) && !IsEmpty(*target))
    return -ENOTEMPTY;
  return error;
}

int MemoryFs::Exchange(const RenameEnds& ends) {
  EntryOf(*ends.from->directory, ends.from_name)->inode = ends.target;
  EntryOf(*ends.to->directory, ends.to_name)->inode = ends.moved;
  const auto move = [this](Inode* child, Inode* old, Inode* parent) {
    if (!child->is(S_IFDIR) || old == parent) return;
    SetParent(child, parent);
    parent->links.fetch_add(1);
    old->links.fetch_sub(1);
    old->references.fetch_sub(1);  // never the last: the caller has one
  };
  move(ends.moved, ends.from, ends.to);
  move(ends.target, ends.to, ends.from);
  return 0;
}

// The target's entry becomes the moved inode's, or there is a new one.
int MemoryFs::Replace(const RenameEnds& ends) {
  if (ends.target == nullptr) {
    const int error = Insert(ends.to, ends.to_name, ends.moved);
    if (error != 0) return error;
  } else {
    EntryOf(*ends.to->directory, ends.to_name)->inode = ends.moved;
    if (ends.target->is(S_IFDIR)) {
      ends.target->links = 0;
      ends.to->links.fetch_sub(1);
    }
  }
  Erase(ends.from, ends.from_name);
  if (ends.moved->is(S_IFDIR) && ends.from != ends.to) {
    SetParent(ends.moved, ends.to);
    ends.to->links.fetch_add(1);
    ends.from->links.fetch_sub(1);
    ends.from->references.fetch_sub(1);  // never the last: the caller has one
  }
  return 0;
}

int MemoryFs::Rename(const Credentials& who, uint64_t from, std::string_view from_name, uint64_t to,
                     std::string_view to_name, uint32_t flags) {
  if (to_name.size() > kMaxNameBytes || from_name.size() > kMaxNameBytes) return -ENAMETOOLONG;
  if (!InodeOf(from)->is(S_IFDIR) || !InodeOf(to)->is(S_IFDIR)) return -ENOTDIR;
  if (InodeOf(from)->part != InodeOf(to)->part) return -EXDEV;
  const bool exchange = (flags & kExchange) != 0;
  const MutexLock rename_lock(rename_lock_, LockRank::kRename);
  RenameEnds ends = {InodeOf(from), from_name, InodeOf(to), to_name};
  // A directory that is replaced is locked as well, so that nothing is made in it.
  Inode* emptied = nullptr;
  for (int error = kAgain; error == kAgain;) {
    const DirectoryLocks locks(ends.from, ends.to, emptied);
    error = FindEnds(&ends, flags);
    if (error == 0 && !exchange && ends.target != nullptr && ends.target->is(S_IFDIR) &&
        ends.target != emptied) {
      emptied = ends.target;
      error = kAgain;
      continue;
    }
    if (error == 0) error = CheckRename(who, ends, flags);
    if (error == 0 && ends.moved == ends.target) return 0;
    if (error == 0) error = exchange ? Exchange(ends) : Replace(ends);
    if (error != 0) return error;
    Touch(ends.from);
    Touch(ends.to);
    ends.moved->ctime = ends.to->ctime.load();
    if (ends.target != nullptr) ends.target->ctime = ends.to->ctime.load();
  }
  if (!exchange && ends.target != nullptr) {
    if (ends.target->is(S_IFDIR)) {
      Unref(ends.target);
    } else {
      DropLink(ends.target);
    }
  }
  return 0;
}

}  // namespace cordon::vfs
