// What must hold in a memory file system while nothing changes.

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "arena/layout.h"
#include "vfs/inode.h"

namespace cordon::vfs {

class Checker {
 public:
  Checker(MemoryFs& fs, char* text, uint64_t size)
      : fs_(fs), root_(*fs.root_), text_(text), left_(size) {
    if (size > 0) *text = 0;
  }

  int Run(uint64_t unlinked) {
    Expand(root_);
    Walk([this](Inode& met) {
      if (met.check_names++ > 0) return false;
      if (met.is(S_IFDIR)) Expand(met);
      return true;
    });
    Totals met;
    CheckInode(root_, &met);
    Walk([this, &met](Inode& inode) {
      if (inode.check_names == 0) return false;
      CheckInode(inode, &met);
      inode.check_names = 0;
      return true;
    });
    root_.check_names = 0;
    CheckTotals(met, unlinked);
    if (fs_.rename_lock_.held() || fs_.shared_lock_.held()) Report("a lock is held", root_);
    if (!fs_.objects_->Check()) Report("free list of objects", root_);
    if (!fs_.blocks_->Check()) Report("free list of blocks", root_);
    return violations_;
  }

 private:
  // Of this generation or an earlier one.
  [[nodiscard]] bool IsBlock(const std::byte* chunk) const {
    return fs_.blocks_->Owns(chunk) || (reinterpret_cast<uint64_t>(chunk) >= layout::kBlocks &&
                                        chunk < reinterpret_cast<const std::byte*>(fs_.blocks_));
  }

  struct Totals {
    uint64_t inodes = 0, files = 0, bytes = 0;
  };

  // Calls `visit` with the inode of every name. What is in a directory follows when it says so.
  template <typename Visit>
  void Walk(const Visit& visit) {
    Inode* inode = &root_;
    for (uint32_t at = 0;;) {
      const Directory& directory = *inode->directory;
      if (at < directory.used) {
        Inode* child = directory.entries[at++].inode;
        if (child == nullptr || !visit(*child) || child == &root_ || !child->is(S_IFDIR)) continue;
        // There is a way back.
        if (child->directory->parent != inode) continue;
        inode = child;
        at = 0;
        continue;
      }
      if (inode == &root_) return;
      Inode* parent = directory.parent;
      for (at = 0; parent->directory->entries[at].inode != inode;) ++at;
      ++at;
      inode = parent;
    }
  }

  void Append(std::string_view part) {
    const uint64_t count = left_ == 0 ? 0 : std::min<uint64_t>(part.size(), left_ - 1);
    if (count == 0) return;
    memcpy(text_, part.data(), count);
    text_ += count;
    left_ -= count;
    *text_ = 0;
  }

  void Append(uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    Append({digits + at, sizeof digits - at});
  }

  void Report(std::string_view what, const Inode& inode, uint64_t is = 0, uint64_t should = 0) {
    ++violations_;
    Append("inode ");
    Append(inode.number);
    Append(": ");
    Append(what);
    if (is != should) {
      Append(" ");
      Append(is);
      Append(", should be ");
      Append(should);
    }
    Append("\n");
  }

  void Expand(const Inode& inode) {
    const Directory& directory = *inode.directory;
    uint64_t alive = 0;
    uint64_t cookie = 0;
    for (uint32_t i = 0; i < directory.used; ++i) {
      const DirectoryEntry& entry = directory.entries[i];
      if (entry.inode == nullptr) continue;
      ++alive;
      if (entry.cookie <= cookie || entry.cookie >= directory.next_cookie)
        Report("order of cookies", inode);
      cookie = entry.cookie;
      if (EntryOf(directory, {entry.name, entry.name_size}) != &entry)
        Report("an entry is not found by its name", inode);
      const Inode* child = entry.inode;
      if (child->part != inode.part && (child->part == Part::kTree || !child->is(S_IFDIR)))
        Report("it has left its part of the tree", *child);
      if (child->is(S_IFDIR) && child->directory->parent != &inode)
        Report("parent is another directory", *child);
    }
    if (alive != directory.alive) Report("entries", inode, directory.alive, alive);
  }

  // Directories of the image below this one that nobody has looked up yet.
  [[nodiscard]] uint64_t UnseenDirectories(const Inode& inode) const {
    if (!inode.directory->in_image) return 0;
    uint64_t count = 0;
    for (const ImageEntry& entry : fs_.image_->EntriesOf(inode.image)) {
      count += S_ISDIR(fs_.image_->inode(entry.inode).mode) &&
               EntryOf(*inode.directory, fs_.image_->NameOf(entry)) == nullptr;
    }
    return count;
  }

  void CheckInode(const Inode& inode, Totals* met) {
    ++met->inodes;
    met->files += inode.counted;
    if (inode.lock.held()) Report("a lock is held", inode);
    if (inode.is(S_IFDIR)) {
      CheckDirectory(inode);
      return;
    }
    const bool shared = inode.image != kNoImage && fs_.image_->inode(inode.image).shared_slot != 0;
    // Names in the image that nobody has looked up are links, too.
    if (shared ? inode.links < inode.check_names : inode.links != inode.check_names)
      Report("links", inode, inode.links, inode.check_names);
    if (inode.references < inode.check_names)
      Report("references", inode, inode.references, inode.check_names);
    if (inode.is(S_IFREG)) CheckContents(inode, met);
  }

  void CheckDirectory(const Inode& inode) {
    const Directory& directory = *inode.directory;
    const uint64_t names = &inode == &root_ ? 0 : 1;
    if (inode.check_names != names) Report("names", inode, inode.check_names, names);
    uint64_t children = 0;
    for (uint32_t i = 0; i < directory.used; ++i) {
      const Inode* child = directory.entries[i].inode;
      children += child != nullptr && child->is(S_IFDIR);
    }
    const uint64_t links = 2 + children + UnseenDirectories(inode);
    if (inode.links != links) Report("links", inode, inode.links, links);
    if (inode.references < 1 + children)
      Report("references", inode, inode.references, 1 + children);
  }

  void CheckContents(const Inode& inode, Totals* met) {
    const Contents& contents = inode.contents;
    uint64_t bytes = contents.first == nullptr ? 0 : contents.first_bytes;
    for (uint32_t t = 0; t < inode.table_count; ++t) {
      if (contents.tables[t] == nullptr) continue;
      for (const std::byte* chunk : contents.tables[t]->chunks) {
        if (chunk == nullptr) continue;
        bytes += kChunkBytes;
        if (!IsBlock(chunk)) Report("a chunk is outside of the blocks", inode);
      }
    }
    if (bytes != contents.allocated) Report("bytes", inode, contents.allocated, bytes);
    if (contents.image_bytes > inode.size)
      Report("bytes of the image", inode, contents.image_bytes, inode.size);
    met->bytes += bytes;
  }

  // Files that are open and have no name are in the totals and not in the tree.
  void CheckTotals(const Totals& met, uint64_t unlinked) {
    if (fs_.inodes_ != met.inodes + unlinked)
      Report("inodes in memory", root_, fs_.inodes_, met.inodes + unlinked);
    const uint64_t files = fs_.files_;
    if (files < met.files || files > met.files + unlinked) Report("files", root_, files, met.files);
    const uint64_t bytes = fs_.bytes_;
    if (bytes < met.bytes || (unlinked == 0 && bytes != met.bytes))
      Report("bytes of all files", root_, bytes, met.bytes);
  }

  MemoryFs& fs_;
  Inode& root_;
  char* text_;
  uint64_t left_;
  int violations_ = 0;
};

int CheckFileSystem(MemoryFs& fs, uint64_t unlinked, char* text, uint64_t size) {
  return Checker(fs, text, size).Run(unlinked);
}

}  // namespace cordon::vfs
