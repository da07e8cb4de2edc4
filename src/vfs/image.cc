#include "vfs/image.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace cordon::vfs {
namespace {

bool Fits(uint64_t offset, uint64_t size, uint64_t whole) {
  return offset <= whole && size <= whole - offset;
}

}  // namespace

bool Image::Open(std::span<const std::byte> file, const std::byte* code) {
  ImageHeader header;
  if (file.size() < sizeof header) return false;
  memcpy(&header, file.data(), sizeof header);
  if (header.magic != kImageMagic || header.version != kImageVersion ||
      header.file_size != file.size() || header.inode_count == 0 ||
      header.code_offset % 4096 != 0 || header.inodes % 8 != 0 || header.entries % 4 != 0 ||
      !Fits(header.code_offset, header.code_size, file.size()) ||
      !Fits(header.inodes, uint64_t{header.inode_count} * sizeof(ImageInode), file.size()) ||
      !Fits(header.entries, uint64_t{header.entry_count} * sizeof(ImageEntry), file.size()) ||
      !Fits(header.strings, header.string_bytes, file.size())) {
    return false;
  }
  file_ = file;
  code_ = code;
  inodes_ = {reinterpret_cast<const ImageInode*>(file.data() + header.inodes), header.inode_count};
  entries_ = {reinterpret_cast<const ImageEntry*>(file.data() + header.entries),
              header.entry_count};
  strings_ = reinterpret_cast<const char*>(file.data() + header.strings);
  for (const ImageInode& inode : inodes_) {
    if (!Fits(inode.data, inode.size, file.size()) ||
        !Fits(inode.first_entry, inode.entry_count, header.entry_count) ||
        !Fits(inode.metadata, inode.metadata_size, file.size()) || inode.metadata % 8 != 0 ||
        !Fits(inode.image_offset, inode.image_size, header.code_size) ||
        inode.image_offset % 4096 != 0) {
      return false;
    }
  }
  for (const ImageEntry& entry : entries_) {
    if (entry.inode >= header.inode_count || entry.name_size == 0 || entry.name_size > 255 ||
        !Fits(entry.name, entry.name_size, header.string_bytes)) {
      return false;
    }
  }
  return S_ISDIR(inodes_[0].mode);
}

const ImageEntry* Image::Find(uint32_t directory, std::string_view name) const {
  const std::span<const ImageEntry> entries = EntriesOf(directory);
  const auto at = std::ranges::lower_bound(
      entries, name, {}, [this](const ImageEntry& entry) { return NameOf(entry); });
  return at != entries.end() && NameOf(*at) == name ? &*at : nullptr;
}

}  // namespace cordon::vfs
