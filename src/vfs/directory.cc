// Names: look-up, making, removing, renaming, listing.

#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "arena/platform.h"
#include "vfs/inode.h"

namespace cordon::vfs {
namespace {

constexpr uint32_t kSearch = 1;
constexpr uint32_t kWrite = 2;
constexpr uint32_t kNoReplace = 1;
constexpr uint32_t kExchange = 2;
constexpr uint32_t kMaxNameSize = 255;

uint32_t HashOf(std::string_view name) {
  uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash;
}

// The place of a name in the table, or of the free cell where it would go.
uint32_t CellOf(const Directory& directory, std::string_view name, uint32_t hash) {
  const uint32_t mask = directory.capacity * 2 - 1;
  for (uint32_t cell = hash & mask;; cell = (cell + 1) & mask) {
    if (directory.table[cell] == 0) return cell;
    const DirectoryEntry& entry = directory.entries[directory.table[cell] - 1];
    if (entry.inode != nullptr && entry.hash == hash &&
        std::string_view(entry.name, entry.name_size) == name)
      return cell;
  }
}

DirectoryEntry* EntryOf(const Directory& directory, std::string_view name) {
  if (directory.capacity == 0) return nullptr;
  const uint32_t place = directory.table[CellOf(directory, name, HashOf(name))];
  return place == 0 ? nullptr : &directory.entries[place - 1];
}

void Touch(Inode* inode) {
  inode->mtime = inode->ctime = platform::ClockNs(0);
}

// Locks two directories, which may be the same, in the order of their addresses.
class TwoDirectories {
 public:
  TwoDirectories(Inode* a, Inode* b) : first_(std::min(a, b)), second_(std::max(a, b)) {
    first_->lock.Lock(LockRank::kDirectory);
    if (second_ != first_) second_->lock.Lock(LockRank::kDirectory);
  }
  ~TwoDirectories() {
    if (second_ != first_) second_->lock.Unlock();
    first_->lock.Unlock();
  }
  TwoDirectories(const TwoDirectories&) = delete;
  TwoDirectories& operator=(const TwoDirectories&) = delete;

 private:
  Inode* first_;
  Inode* second_;
};

}  // namespace

int MemoryFs::GrowDirectory(Inode* inode) {
  Directory& directory = inode->directory;
  if (directory.used < directory.capacity) return 0;
  const uint32_t capacity = std::max(8u, std::bit_ceil(directory.alive + directory.alive / 2 + 1));
  auto* entries =
      static_cast<DirectoryEntry*>(objects_->AllocateBuffer(capacity * sizeof(DirectoryEntry)));
  auto* table = static_cast<uint32_t*>(objects_->Allocate(capacity * 2 * sizeof(uint32_t)));
  if (entries == nullptr || table == nullptr) {
    objects_->Free(entries, capacity * sizeof(DirectoryEntry));
    objects_->Free(table, capacity * 2 * sizeof(uint32_t));
    return -ENOSPC;
  }
  Directory grown = directory;
  grown.entries = entries;
  grown.table = table;
  grown.capacity = capacity;
  grown.used = 0;
  for (uint32_t i = 0; directory.entries != nullptr && i < directory.used; ++i) {
    const DirectoryEntry& entry = directory.entries[i];
    if (entry.inode == nullptr) continue;
    entries[grown.used] = entry;
    table[CellOf(grown, {entry.name, entry.name_size}, entry.hash)] = grown.used + 1;
    ++grown.used;
  }
  if (directory.capacity > 0) {
    objects_->Free(directory.entries, directory.capacity * sizeof(DirectoryEntry));
    objects_->Free(directory.table, directory.capacity * 2 * sizeof(uint32_t));
  }
  directory = grown;
  return 0;
}

int MemoryFs::Insert(Inode* inode, std::string_view name, Inode* child) {
  const int error = GrowDirectory(inode);
  if (error != 0) return error;
  auto* text = static_cast<char*>(objects_->AllocateBuffer(name.size()));
  if (text == nullptr) return -ENOSPC;
  memcpy(text, name.data(), name.size());
  Directory& directory = inode->directory;
  if (directory.entries == nullptr) return -ENOSPC;
  const uint32_t hash = HashOf(name);
  directory.entries[directory.used] = {child, text, directory.next_cookie++,
                                       static_cast<uint32_t>(name.size()), hash};
  // Removed entries never match, but their cells count as taken: the table is rebuilt before it is
  // half full.
  directory.table[CellOf(directory, name, hash)] = directory.used + 1;
  ++directory.used;
  ++directory.alive;
  if (S_ISDIR(child->mode)) child->directory.parent = inode;
  return 0;
}

void MemoryFs::Erase(Inode* inode, std::string_view name) {
  DirectoryEntry* entry = EntryOf(inode->directory, name);
  objects_->Free(entry->name, entry->name_size);
  entry->inode = nullptr;
  entry->name = nullptr;
  --inode->directory.alive;
}

Inode* MemoryFs::Find(Inode* inode, std::string_view name, int* error) {
  *error = -ENOENT;
  Directory& directory = inode->directory;
  if (const DirectoryEntry* entry = EntryOf(directory, name)) return entry->inode;
  if (!directory.in_image) return nullptr;
  const ImageEntry* lower = image_->Find(inode->image, name);
  if (lower == nullptr) return nullptr;
  Inode* child = FromImage(lower->inode);
  *error = child == nullptr ? -ENOSPC : Insert(inode, name, child);
  if (*error == 0) return child;
  if (child != nullptr) Free(child);
  return nullptr;
}

int MemoryFs::Materialise(Inode* inode) {
  if (!inode->directory.in_image) return 0;
  for (const ImageEntry& entry : image_->EntriesOf(inode->image)) {
    int error = 0;
    if (Find(inode, image_->NameOf(entry), &error) == nullptr) return error;
  }
  inode->directory.in_image = false;
  return 0;
}

int MemoryFs::Lookup(const Credentials& /*who*/, uint64_t id, std::string_view name, Node* out) {
  Inode* directory = InodeOf(id);
  if (name.size() > kMaxNameSize) return -ENAMETOOLONG;
  const MutexLock lock(directory->lock, LockRank::kDirectory);
  int error = 0;
  Inode* child = Find(directory, name, &error);
  if (child == nullptr) return error;
  child->references.fetch_add(1);
  *out = {this, reinterpret_cast<uint64_t>(child)};
  return 0;
}

int MemoryFs::Parent(uint64_t id, Node* out) {
  const MutexLock lock(rename_lock_, LockRank::kRename);
  Inode* parent = InodeOf(id)->directory.parent;
  if (parent == nullptr) parent = InodeOf(id);
  parent->references.fetch_add(1);
  *out = {this, reinterpret_cast<uint64_t>(parent)};
  return 0;
}

// Under the directory's lock. Takes over the first reference of `inode` as the entry's.
int MemoryFs::AddEntry(const Credentials& who, Inode* directory, std::string_view name,
                       Inode* inode) {
  if (name.size() > kMaxNameSize) return -ENAMETOOLONG;
  if (directory->links.load() == 0) return -ENOENT;
  int error = 0;
  if (Find(directory, name, &error) != nullptr) return -EEXIST;
  if (error != -ENOENT) return error;
  error = Access(who, reinterpret_cast<uint64_t>(directory), kWrite | kSearch);
  if (error == 0) error = Insert(directory, name, inode);
  if (error == 0) Touch(directory);
  return error;
}

int MemoryFs::Create(const Credentials& who, uint64_t id, std::string_view name, uint32_t mode,
                     uint64_t rdev, Node* out) {
  Inode* directory = InodeOf(id);
  Inode* inode = NewInode(mode, who);
  if (inode == nullptr) return -ENOSPC;
  inode->rdev = rdev;
  const MutexLock lock(directory->lock, LockRank::kDirectory);
  if ((directory->mode & S_ISGID) != 0) {
    inode->gid = directory->gid;
    if (S_ISDIR(mode)) inode->mode |= S_ISGID;
  }
  const int error = AddEntry(who, directory, name, inode);
  if (error != 0) {
    Free(inode);
    return error;
  }
  if (S_ISDIR(mode)) {
    inode->links = 2;
    directory->links.fetch_add(1);
  }
  inode->references.fetch_add(1);
  *out = {this, reinterpret_cast<uint64_t>(inode)};
  return 0;
}

int MemoryFs::Symlink(const Credentials& who, uint64_t id, std::string_view name,
                      std::string_view target) {
  Inode* directory = InodeOf(id);
  Inode* inode = NewInode(S_IFLNK | 0777, who);
  if (inode == nullptr) return -ENOSPC;
  inode->target = static_cast<char*>(objects_->AllocateBuffer(target.size()));
  if (inode->target == nullptr) {
    Free(inode);
    return -ENOSPC;
  }
  memcpy(inode->target, target.data(), target.size());
  inode->size = target.size();
  const MutexLock lock(directory->lock, LockRank::kDirectory);
  const int error = AddEntry(who, directory, name, inode);
  if (error != 0) Free(inode);
  return error;
}

int MemoryFs::Link(const Credentials& who, uint64_t node, uint64_t id, std::string_view name) {
  Inode* inode = InodeOf(node);
  Inode* directory = InodeOf(id);
  if (S_ISDIR(inode->mode)) return -EPERM;
  const MutexLock lock(directory->lock, LockRank::kDirectory);
  const int error = AddEntry(who, directory, name, inode);
  if (error != 0) return error;
  inode->references.fetch_add(1);
  inode->links.fetch_add(1);
  inode->ctime = platform::ClockNs(0);
  return 0;
}

// Write permission, and the sticky bit.
int MemoryFs::CheckRemoval(const Credentials& who, const Inode& directory, const Inode& victim) {
  const int error = Access(who, reinterpret_cast<uint64_t>(&directory), kWrite | kSearch);
  if (error != 0) return error;
  if ((directory.mode & S_ISVTX) != 0 && who.uid != 0 && who.uid != directory.uid &&
      who.uid != victim.uid)
    return -EPERM;
  return 0;
}

int MemoryFs::Remove(const Credentials& who, uint64_t id, std::string_view name, Removal kind) {
  Inode* directory = InodeOf(id);
  Inode* victim = nullptr;
  {
    const MutexLock lock(directory->lock, LockRank::kDirectory);
    int error = Materialise(directory);
    if (error == 0) victim = Find(directory, name, &error);
    if (victim == nullptr) return error;
    error = CheckRemoval(who, *directory, *victim);
    if (error != 0) return error;
    if (kind == Removal::kFile && S_ISDIR(victim->mode)) return -EISDIR;
    if (kind == Removal::kDirectory) {
      if (!S_ISDIR(victim->mode)) return -ENOTDIR;
      // A parent is locked before its child; addresses do not say which is which, so no two are
      // locked at once: a name that arrives in between finds a directory without links and is
      // refused.
      victim->links.store(0);
      if (victim->directory.in_image ? !image_->EntriesOf(victim->image).empty()
                                     : victim->directory.alive > 0) {
        victim->links.store(2);
        return -ENOTEMPTY;
      }
      directory->links.fetch_sub(1);
    } else {
      victim->links.fetch_sub(1);
    }
    Erase(directory, name);
    Touch(directory);
    victim->ctime = directory->ctime;
  }
  Unref(victim);
  return 0;
}

int MemoryFs::Rename(const Credentials& who, uint64_t from, std::string_view from_name, uint64_t to,
                     std::string_view to_name, uint32_t flags) {
  if (to_name.size() > kMaxNameSize || from_name.size() > kMaxNameSize) return -ENAMETOOLONG;
  const MutexLock lock(rename_lock_, LockRank::kRename);
  return RenameLocked(who, InodeOf(from), from_name, InodeOf(to), to_name, flags);
}

int MemoryFs::RenameLocked(const Credentials& who, Inode* from, std::string_view from_name,
                           Inode* to, std::string_view to_name, uint32_t flags) {
  Inode* replaced = nullptr;
  {
    const TwoDirectories lock(from, to);
    int error = Materialise(from);
    if (error == 0) error = Materialise(to);
    if (error != 0) return error;
    Inode* moved = Find(from, from_name, &error);
    if (moved == nullptr) return error;
    if (to->links.load() == 0) return -ENOENT;
    Inode* target = Find(to, to_name, &error);
    if (target == nullptr && error != -ENOENT) return error;
    if (target == nullptr && (flags & kExchange) != 0) return -ENOENT;
    if (target != nullptr && (flags & kNoReplace) != 0) return -EEXIST;
    if (target == moved) return 0;
    error = CheckRemoval(who, *from, *moved);
    if (error == 0 && target != nullptr) error = CheckRemoval(who, *to, *target);
    if (error == 0) error = Access(who, reinterpret_cast<uint64_t>(to), kWrite | kSearch);
    if (error != 0) return error;
    // A directory cannot move into itself. Parents change only under rename_lock_.
    for (const Inode* up = to; up != nullptr; up = up->directory.parent) {
      if (up == moved) return -EINVAL;
    }
    const bool moves_directory = S_ISDIR(moved->mode);
    if (target != nullptr && (flags & kExchange) != 0) {
      EntryOf(from->directory, from_name)->inode = target;
      EntryOf(to->directory, to_name)->inode = moved;
      if (S_ISDIR(target->mode))
        target->directory.parent = from, from->links.fetch_add(1), to->links.fetch_sub(1);
      if (moves_directory)
        moved->directory.parent = to, to->links.fetch_add(1), from->links.fetch_sub(1);
      Touch(from), Touch(to);
      return 0;
    }
    if (target != nullptr) {
      if (moves_directory && !S_ISDIR(target->mode)) return -ENOTDIR;
      if (!moves_directory && S_ISDIR(target->mode)) return -EISDIR;
      if (S_ISDIR(target->mode)) {
        if (target->directory.in_image ? !image_->EntriesOf(target->image).empty()
                                       : target->directory.alive > 0)
          return -ENOTEMPTY;
        target->links.store(0);
        to->links.fetch_sub(1);
      } else {
        target->links.fetch_sub(1);
      }
      EntryOf(to->directory, to_name)->inode = moved;
      if (moves_directory) moved->directory.parent = to;
      replaced = target;
    } else if ((error = Insert(to, to_name, moved)) != 0) {
      return error;
    }
    Erase(from, from_name);
    if (moves_directory) from->links.fetch_sub(1), to->links.fetch_add(1);
    Touch(from), Touch(to);
    moved->ctime = to->ctime;
  }
  if (replaced != nullptr) Unref(replaced);
  return 0;
}

int MemoryFs::List(uint64_t id, uint64_t cookie, DirectorySink sink) {
  Inode* inode = InodeOf(id);
  const MutexLock lock(inode->lock, LockRank::kDirectory);
  const int error = Materialise(inode);
  if (error != 0) return error;
  const Directory& directory = inode->directory;
  const DirectoryEntry* const first = directory.entries;
  const DirectoryEntry* const end = first + directory.used;
  const DirectoryEntry* at = std::upper_bound(
      first, end, cookie,
      [](uint64_t after, const DirectoryEntry& entry) { return after < entry.cookie; });
  for (; at != end; ++at) {
    if (at->inode == nullptr) continue;
    if (!sink.emit(sink.cookie, {at->name, at->name_size}, at->inode->number,
                   at->inode->mode & S_IFMT, at->cookie))
      break;
  }
  inode->atime = platform::ClockNs(0);
  return 0;
}

}  // namespace cordon::vfs
