#include "vfs/image.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace cordon::vfs {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMaxTarget = 4096;
constexpr uint32_t kMaxNameBytes = 255;

bool Fits(uint64_t offset, uint64_t size, uint64_t whole) {
  return offset <= whole && size <= whole - offset;
}

}  // namespace

bool Image::Open(std::span<const std::byte> file, const std::byte* code, std::byte* frozen) {
  ImageHeader header;
  if (file.size() < sizeof header) return false;
  memcpy(&header, file.data(), sizeof header);
  if (header.magic != kImageMagic || header.version != kImageVersion ||
      header.file_size != file.size() || header.inode_count == 0 ||
      header.code_offset % kPage != 0 || header.frozen_offset % kPage != 0 ||
      header.inodes % 8 != 0 || header.entries % 4 != 0 ||
      !Fits(header.code_offset, header.code_size, file.size()) ||
      !Fits(header.frozen_offset, header.frozen_size, file.size()) ||
      !Fits(header.inodes, uint64_t{header.inode_count} * sizeof(ImageInode), file.size()) ||
      !Fits(header.entries, uint64_t{header.entry_count} * sizeof(ImageEntry), file.size()) ||
      !Fits(header.strings, header.string_bytes, file.size())) {
    return false;
  }
  file_ = file;
  code_ = code;
  frozen_ = frozen;
  frozen_offset_ = header.frozen_offset;
  inodes_ = {reinterpret_cast<const ImageInode*>(file.data() + header.inodes), header.inode_count};
  entries_ = {reinterpret_cast<const ImageEntry*>(file.data() + header.entries),
              header.entry_count};
  strings_ = reinterpret_cast<const char*>(file.data() + header.strings);
  shared_count_ = header.shared_count;
  for (const ImageEntry& entry : entries_) {
    if (entry.inode >= header.inode_count || entry.name_size == 0 ||
        entry.name_size > kMaxNameBytes ||
        !Fits(entry.name, entry.name_size, header.string_bytes)) {
      return false;
    }
  }
  for (const ImageInode& inode : inodes_) {
    if (!CheckInode(inode, header)) return false;
  }
  if (!S_ISDIR(inodes_[0].mode)) return false;
  for (uint32_t number = 0; number < inode_count(); ++number) {
    if (S_ISDIR(inodes_[number].mode) && !CheckDirectory(number)) return false;
  }
  return true;
}

bool Image::CheckInode(const ImageInode& inode, const ImageHeader& header) const {
  if (!Fits(inode.data, inode.size, file_.size()) || inode.size > UINT32_MAX ||
      !Fits(inode.metadata, inode.metadata_size, file_.size()) || inode.metadata % 8 != 0 ||
      !Fits(inode.image_offset, inode.image_size, header.code_size) ||
      inode.image_offset % kPage != 0 || inode.shared_slot > header.shared_count) {
    return false;
  }
  if (inode.frozen_size != 0) {
    FrozenProgram frozen;
    if (inode.metadata_size == 0 || inode.frozen % kPage != 0 ||
        !Fits(inode.frozen, inode.frozen_size, header.frozen_size) ||
        !frozen.Open(file_.subspan(header.frozen_offset + inode.frozen, inode.frozen_size))) {
      return false;
    }
  }
  switch (inode.mode & S_IFMT) {
    case S_IFDIR:
      return Fits(inode.first_entry, inode.entry_count, header.entry_count) &&
             inode.shared_slot == 0 && inode.metadata_size == 0;
    case S_IFLNK:
      return inode.size > 0 && inode.size < kMaxTarget && inode.metadata_size == 0 &&
             (inode.shared_slot != 0 || inode.links == 1);
    case S_IFREG:
      return inode.shared_slot != 0 || inode.links == 1;
    default:
      return false;
  }
}

// Names in order and without '/', and a tree: a directory is named once, in its parent, and its
// number is above its parent's.
bool Image::CheckDirectory(uint32_t number) const {
  std::string_view last;
  uint32_t last_directory = number;
  uint32_t directories = 0;
  for (const ImageEntry& entry : EntriesOf(number)) {
    const std::string_view name = NameOf(entry);
    if (name <= last || name == "." || name == ".." || name.find('/') != name.npos ||
        name.find('\0') != name.npos) {
      return false;
    }
    last = name;
    const ImageInode& child = inodes_[entry.inode];
    if (!S_ISDIR(child.mode)) continue;
    if (child.parent != number || entry.inode <= last_directory) return false;
    last_directory = entry.inode;
    ++directories;
  }
  return inodes_[number].links == directories + 2;
}

bool Image::FrozenOf(uint32_t number, FrozenProgram* out, std::byte** pages) const {
  const ImageInode& inode = inodes_[number];
  if (inode.frozen_size == 0 || frozen_ == nullptr ||
      !out->Open(file_.subspan(frozen_offset_ + inode.frozen, inode.frozen_size))) {
    return false;
  }
  *pages = frozen_ + inode.frozen + out->header->pages;
  return true;
}

const ImageEntry* Image::Find(uint32_t directory, std::string_view name) const {
  const std::span<const ImageEntry> entries = EntriesOf(directory);
  const auto at = std::ranges::lower_bound(
      entries, name, {}, [this](const ImageEntry& entry) { return NameOf(entry); });
  return at != entries.end() && NameOf(*at) == name ? &*at : nullptr;
}

}  // namespace cordon::vfs
