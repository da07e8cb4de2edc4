// Names: look-up, making, listing. Removing and renaming are in rename.cc.

#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <span>

#include "arena/platform.h"
#include "vfs/inode.h"

namespace cordon::vfs {
namespace {

constexpr uint32_t kSearch = 1;
constexpr uint32_t kWrite = 2;

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

}  // namespace

DirectoryEntry* EntryOf(const Directory& directory, std::string_view name) {
  if (directory.capacity == 0) return nullptr;
  const uint32_t place = directory.table[CellOf(directory, name, HashOf(name))];
  return place == 0 ? nullptr : &directory.entries[place - 1];
}

int MemoryFs::GrowDirectory(Inode* inode) {
  Directory& directory = *inode->directory;
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
  for (const DirectoryEntry& entry : std::span(directory.entries, directory.used)) {
    if (entry.inode == nullptr) continue;
    entries[grown.used] = entry;
    table[CellOf(grown, {entry.name, entry.name_size}, entry.hash)] = grown.used + 1;
    ++grown.used;
  }
  if (directory.capacity > 0) {
    objects_->Free(directory.entries, directory.capacity * sizeof(DirectoryEntry));
    objects_->Free(directory.table, directory.capacity * 2 * sizeof(uint32_t));
  }
  // Not the parent: that one changes under the rename lock, which is not held here.
  directory.entries = grown.entries;
  directory.table = grown.table;
  directory.capacity = grown.capacity;
  directory.used = grown.used;
  return 0;
}

int MemoryFs::Insert(Inode* inode, std::string_view name, Inode* child) {
  const int error = GrowDirectory(inode);
  Directory& directory = *inode->directory;
  if (error != 0 || directory.entries == nullptr || directory.table == nullptr) return error;
  auto* text = static_cast<char*>(objects_->AllocateBuffer(name.size()));
  if (text == nullptr) return -ENOSPC;
  memcpy(text, name.data(), name.size());
  const uint32_t hash = HashOf(name);
  directory.entries[directory.used] = {child, text, directory.next_cookie++,
                                       static_cast<uint32_t>(name.size()), hash};
  // Removed entries never match, but their cells count as taken: the table is rebuilt before it is
  // half full.
  directory.table[CellOf(directory, name, hash)] = directory.used + 1;
  ++directory.used;
  ++directory.alive;
  return 0;
}

void MemoryFs::Erase(Inode* inode, std::string_view name) {
  DirectoryEntry* entry = EntryOf(*inode->directory, name);
  objects_->Free(entry->name, entry->name_size);
  entry->inode = nullptr;
  entry->name = nullptr;
  --inode->directory->alive;
}

void MemoryFs::SetParent(Inode* child, Inode* parent) {
  parent->references.fetch_add(1);
  child->directory->parent = parent;
}

Inode* MemoryFs::Find(Inode* inode, std::string_view name, int* error) {
  *error = -ENOENT;
  Directory& directory = *inode->directory;
  if (const DirectoryEntry* entry = EntryOf(directory, name)) return entry->inode;
  if (!directory.in_image) return nullptr;
  const ImageEntry* lower = image_->Find(inode->image, name);
  if (lower == nullptr) return nullptr;
  Inode* child = FromImage(lower->inode);
  *error = child == nullptr ? -ENOSPC : Insert(inode, name, child);
  if (*error == 0 && child->is(S_IFDIR)) SetParent(child, inode);
  if (*error == 0) return child;
  if (child != nullptr) Unref(child);
  return nullptr;
}

// Brings in all names of the image: from then on the directory's own entries are the truth, so
// that a removed name needs no mark and a listing has one order.
int MemoryFs::Materialise(Inode* inode) {
  if (!inode->directory->in_image) return 0;
  for (const ImageEntry& entry : image_->EntriesOf(inode->image)) {
    int error = 0;
    if (Find(inode, image_->NameOf(entry), &error) == nullptr) return error;
  }
  inode->directory->in_image = false;
  return 0;
}

bool MemoryFs::IsEmpty(const Inode& inode) const {
  return inode.directory->alive == 0 &&
         (!inode.directory->in_image || image_->EntriesOf(inode.image).empty());
}

int MemoryFs::Lookup(const Credentials& /*who*/, uint64_t id, std::string_view name, Node* out) {
  Inode* inode = InodeOf(id);
  if (!inode->is(S_IFDIR)) return -ENOTDIR;
  if (name.size() > kMaxNameBytes) return -ENAMETOOLONG;
  {
    const SharedLock lock(inode->lock, LockRank::kDirectory);
    if (const DirectoryEntry* entry = EntryOf(*inode->directory, name)) {
      entry->inode->references.fetch_add(1);
      *out = {this, IdOf(entry->inode)};
      return 0;
    }
    if (!inode->directory->in_image) return -ENOENT;
    if (image_->Find(inode->image, name) == nullptr) return -ENOENT;
  }
  const ExclusiveLock lock(inode->lock, LockRank::kDirectory);
  int error = 0;
  Inode* child = Find(inode, name, &error);
  if (child == nullptr) return error;
  child->references.fetch_add(1);
  *out = {this, IdOf(child)};
  return 0;
}

int MemoryFs::Parent(uint64_t id, Node* out) {
  if (!InodeOf(id)->is(S_IFDIR)) return -ENOTDIR;
  const MutexLock lock(rename_lock_, LockRank::kRename);
  Inode* parent = InodeOf(id)->directory->parent;
  if (parent == nullptr) parent = InodeOf(id);
  parent->references.fetch_add(1);
  *out = {this, IdOf(parent)};
  return 0;
}

// Takes over the first reference of `inode` as the entry's.
int MemoryFs::AddEntry(const Credentials& who, Inode* directory, std::string_view name,
                       Inode* inode) {
  if (!directory->is(S_IFDIR)) return -ENOTDIR;
  if (name.size() > kMaxNameBytes) return -ENAMETOOLONG;
  if (directory->links.load() == 0) return -ENOENT;
  int error = 0;
  if (Find(directory, name, &error) != nullptr) return -EEXIST;
  if (error != -ENOENT) return error;
  error = Access(who, IdOf(directory), kWrite | kSearch);
  if (error == 0) error = Insert(directory, name, inode);
  if (error == 0) Touch(directory);
  return error;
}

int MemoryFs::Create(const Credentials& who, uint64_t id, std::string_view name, uint32_t mode,
                     uint64_t rdev, Node* out) {
  Inode* directory = InodeOf(id);
  Inode* inode = NewInode(mode, who, directory->part);
  // What is there already is said first, as by every other file system.
  if (inode == nullptr) {
    Node there;
    if (Lookup(who, id, name, &there) != 0) return -ENOSPC;
    Release(there.id);
    return -EEXIST;
  }
  if (inode->is(S_IFCHR) || inode->is(S_IFBLK)) inode->rdev = rdev;
  int error = 0;
  {
    const ExclusiveLock lock(directory->lock, LockRank::kDirectory);
    if ((directory->mode & S_ISGID) != 0) {
      inode->gid = directory->gid.load();
      if (S_ISDIR(mode)) inode->mode |= S_ISGID;
    }
    if (S_ISDIR(mode)) inode->links = 2;
    error = AddEntry(who, directory, name, inode);
    if (error == 0) {
      inode->references.fetch_add(1);
      if (S_ISDIR(mode)) {
        SetParent(inode, directory);
        directory->links.fetch_add(1);
      }
    }
  }
  if (error != 0) {
    Free(inode);
    return error;
  }
  *out = {this, IdOf(inode)};
  return 0;
}

int MemoryFs::CreateUnnamed(const Credentials& who, uint32_t mode, Node* out) {
  Inode* inode = NewInode(mode, who, Part::kTree);
  if (inode == nullptr) return -ENOSPC;
  inode->links = 0;
  *out = {this, IdOf(inode)};
  return 0;
}

int MemoryFs::Symlink(const Credentials& who, uint64_t id, std::string_view name,
                      std::string_view target) {
  Inode* directory = InodeOf(id);
  Inode* inode = NewInode(S_IFLNK | 0777, who, directory->part);
  if (inode == nullptr) return -ENOSPC;
  int error = 0;
  inode->target = static_cast<char*>(objects_->AllocateBuffer(target.size()));
  if (inode->target == nullptr) {
    error = -ENOSPC;
  } else {
    memcpy(inode->target, target.data(), target.size());
    inode->size = target.size();
    const ExclusiveLock lock(directory->lock, LockRank::kDirectory);
    error = AddEntry(who, directory, name, inode);
  }
  if (error != 0) Free(inode);
  return error;
}

int MemoryFs::Link(const Credentials& who, uint64_t node, uint64_t id, std::string_view name) {
  Inode* inode = InodeOf(node);
  Inode* directory = InodeOf(id);
  const bool leaves = inode->part != directory->part;
  if (inode->is(S_IFDIR) || leaves) {
    Node there;
    if (Lookup(who, id, name, &there) != 0) return leaves ? -EXDEV : -EPERM;
    Release(there.id);
    return -EEXIST;
  }
  // A file that lost its last name gets none again: whoever took that name away relies on it.
  uint32_t links = inode->links.load();
  do {
    if (links == 0) return -ENOENT;
  } while (!inode->links.compare_exchange_weak(links, links + 1));
  inode->references.fetch_add(1);
  int error = 0;
  {
    const ExclusiveLock lock(directory->lock, LockRank::kDirectory);
    error = AddEntry(who, directory, name, inode);
    if (error == 0) inode->ctime = directory->ctime.load();
  }
  if (error != 0) DropLink(inode);
  return error;
}

int MemoryFs::List(uint64_t id, uint64_t cookie, DirectorySink sink) {
  Inode* inode = InodeOf(id);
  if (!inode->is(S_IFDIR)) return -ENOTDIR;
  if (cookie == 0) {
    const ExclusiveLock lock(inode->lock, LockRank::kDirectory);
    const int error = Materialise(inode);
    if (error != 0) return error;
  }
  const SharedLock lock(inode->lock, LockRank::kDirectory);
  const Directory& directory = *inode->directory;
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
  inode->atime = static_cast<int64_t>(platform::ClockNs(0));
  return 0;
}

}  // namespace cordon::vfs
