// What the tree has that the userland image below it has not: for exports, which leave the image
// out.

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "vfs/inode.h"

namespace cordon::vfs {
namespace {

// Places of the image's names come after all cookies of a directory.
constexpr uint64_t kRemovedNames = uint64_t{1} << 63;

uint32_t ImageInodeAt(const Image* image, const Inode& directory, std::string_view name) {
  if (image == nullptr || directory.image == kNoImage) return kNoImage;
  const ImageEntry* entry = image->Find(directory.image, name);
  return entry == nullptr ? kNoImage : entry->inode;
}

uint32_t ChangesOf(const Image* image, Inode& inode, uint32_t expected) {
  if (expected == kNoImage) return kChangeNew;
  if (inode.image != expected) {
    const bool hides = inode.is(S_IFDIR) && S_ISDIR(image->inode(expected).mode);
    return kChangeNew | (hides ? uint32_t{kChangeHides} : 0);
  }
  const ImageInode& lower = image->inode(expected);
  uint32_t changes = 0;
  if (inode.is(S_IFREG)) {
    const SharedLock lock(inode.lock, LockRank::kInode);
    if (inode.modified) changes |= kChangeContents;
  }
  const int64_t mtime = lower.mtime * static_cast<int64_t>(kNsInSecond);
  if (inode.mode != lower.mode || inode.uid != lower.uid || inode.gid != lower.gid ||
      inode.mtime != mtime) {
    changes |= kChangeAttributes;
  }
  return changes;
}

}  // namespace

int MemoryFs::ListChanges(uint64_t id, Extent extent, uint64_t cookie, const ChangeSink& sink) {
  Inode* inode = InodeOf(id);
  if (!inode->is(S_IFDIR)) return -ENOTDIR;
  const bool all = extent == Extent::kAll;
  if (all && cookie == 0) {
    const ExclusiveLock lock(inode->lock, LockRank::kDirectory);
    const int error = Materialise(inode);
    if (error != 0) return error;
  }
  const SharedLock lock(inode->lock, LockRank::kDirectory);
  const Directory& directory = *inode->directory;
  for (const DirectoryEntry& entry : std::span(directory.entries, directory.used)) {
    if (entry.inode == nullptr || entry.cookie <= cookie) continue;
    const std::string_view name(entry.name, entry.name_size);
    const uint32_t changes =
        all ? uint32_t{kChangeNew}
            : ChangesOf(image_, *entry.inode, ImageInodeAt(image_, *inode, name));
    // Something may have changed below a directory that did not change itself.
    if (changes == 0 && !entry.inode->is(S_IFDIR)) continue;
    if (!sink.emit(sink.cookie, name, changes, entry.cookie)) return 0;
  }
  // A directory that still shows the image has lost none of its names.
  if (all || image_ == nullptr || inode->image == kNoImage || directory.in_image) return 0;
  const auto names = image_->EntriesOf(inode->image);
  for (uint64_t i = cookie >= kRemovedNames ? cookie - kRemovedNames : 0; i < names.size(); ++i) {
    const std::string_view name = image_->NameOf(names[i]);
    if (EntryOf(directory, name) != nullptr) continue;
    if (!sink.emit(sink.cookie, name, kChangeRemoved, kRemovedNames + i + 1)) return 0;
  }
  return 0;
}

}  // namespace cordon::vfs
