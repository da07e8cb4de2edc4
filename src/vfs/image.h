#ifndef CORDON_VFS_IMAGE_H_
#define CORDON_VFS_IMAGE_H_

// The userland image: a file tree and its compiled programs in one file, mapped read-only by all
// sandboxes of a machine.
//
//   ImageHeader | ImageInode[] | ImageEntry[] | strings | file data | objects' metadata | page
//   boundary | code
//
// Code is mapped a second time, executable; everything else is only ever read. Written by
// cordon-mkimage.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace cordon::vfs {

inline constexpr std::array<char, 8> kImageMagic = {'C', 'O', 'R', 'D', 'O', 'N', 'U', 'L'};
inline constexpr uint32_t kImageVersion = 1;

struct ImageHeader {
  std::array<char, 8> magic;
  uint32_t version;
  uint32_t inode_count;
  uint32_t entry_count;
  uint32_t string_bytes;
  uint64_t inodes;  // offsets in the file
  uint64_t entries;
  uint64_t strings;
  uint64_t file_size;
  uint64_t code_offset;  // page-aligned; from here to the end
  uint64_t code_size;
};

struct ImageInode {
  uint32_t mode;
  uint32_t uid, gid;
  uint32_t first_entry, entry_count;  // of a directory, sorted by name
  uint32_t links;
  uint64_t data, size;  // contents or link target
  int64_t mtime;
  // Of a program: its object; image_offset counts from code_offset. metadata_size 0: none.
  uint64_t metadata, metadata_size;
  uint64_t image_offset, image_size;
};

struct ImageEntry {
  uint32_t name, name_size;  // in strings
  uint32_t inode;
};

class Image {
 public:
  // Checks every offset; false if the file is damaged. Inode 0 is the root.
  [[nodiscard]] bool Open(std::span<const std::byte> file, const std::byte* code);

  [[nodiscard]] const ImageInode& inode(uint32_t number) const { return inodes_[number]; }
  [[nodiscard]] uint32_t inode_count() const { return static_cast<uint32_t>(inodes_.size()); }
  [[nodiscard]] std::span<const ImageEntry> EntriesOf(uint32_t directory) const {
    return entries_.subspan(inodes_[directory].first_entry, inodes_[directory].entry_count);
  }
  [[nodiscard]] std::string_view NameOf(const ImageEntry& entry) const {
    return {strings_ + entry.name, entry.name_size};
  }
  // Null if there is no such entry.
  [[nodiscard]] const ImageEntry* Find(uint32_t directory, std::string_view name) const;
  [[nodiscard]] const std::byte* DataOf(uint32_t number) const {
    return file_.data() + inodes_[number].data;
  }
  [[nodiscard]] const std::byte* At(uint64_t offset) const { return file_.data() + offset; }
  [[nodiscard]] const std::byte* code() const { return code_; }

 private:
  std::span<const std::byte> file_;
  const std::byte* code_ = nullptr;
  std::span<const ImageInode> inodes_;
  std::span<const ImageEntry> entries_;
  const char* strings_ = nullptr;
};

}  // namespace cordon::vfs

#endif  // CORDON_VFS_IMAGE_H_
