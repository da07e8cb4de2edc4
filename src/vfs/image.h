#ifndef CORDON_VFS_IMAGE_H_
#define CORDON_VFS_IMAGE_H_

// The userland image: a file tree and its compiled programs in one file, mapped read-only by all
// sandboxes of a machine.
//
//   ImageHeader | ImageInode[] | ImageEntry[] | strings | file data | objects' metadata | page
//   boundary | code | frozen programs, each from a page boundary
//
// Code is mapped a second time, executable, and frozen programs a second time, copy on write;
// everything else is only ever read. Written by cordon-mkimage.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "vfs/frozen_program.h"

namespace cordon::vfs {

inline constexpr std::array<char, 8> kImageMagic = {'C', 'O', 'R', 'D', 'O', 'N', 'U', 'L'};
inline constexpr uint32_t kImageVersion = 3;

struct ImageHeader {
  std::array<char, 8> magic;
  uint32_t version;
  uint32_t inode_count;
  uint32_t entry_count;
  uint32_t string_bytes;
  uint32_t shared_count;  // files with several names
  uint64_t inodes;        // offsets in the file
  uint64_t entries;
  uint64_t strings;
  uint64_t file_size;
  uint64_t code_offset;  // page-aligned
  uint64_t code_size;
  uint64_t frozen_offset;  // page-aligned; from here to the end
  uint64_t frozen_size;
};

struct ImageInode {
  uint32_t mode;
  uint32_t uid, gid;
  uint32_t first_entry, entry_count;  // of a directory, sorted by name
  uint32_t links;
  uint32_t parent;       // of a directory; the root's is itself
  uint32_t shared_slot;  // of a file with several names: 1 to shared_count; otherwise 0
  uint64_t data, size;   // contents or link target
  int64_t mtime;
  // Of a program: its object; image_offset counts from code_offset. metadata_size 0: none.
  uint64_t metadata, metadata_size;
  uint64_t image_offset, image_size;
  // Where it goes on when it was frozen (frozen_program.h), from frozen_offset. Size 0: it starts.
  uint64_t frozen, frozen_size;
};

struct ImageEntry {
  uint32_t name, name_size;  // in strings
  uint32_t inode;
};

class Image {
 public:
  // Checks everything that reading relies on; false if the file is damaged. Inode 0 is the root.
  // `code` and `frozen` are the second mappings, null where nothing is going to be started.
  [[nodiscard]] bool Open(std::span<const std::byte> file, const std::byte* code,
                          std::byte* frozen);

  [[nodiscard]] const ImageInode& inode(uint32_t number) const { return inodes_[number]; }
  [[nodiscard]] uint32_t inode_count() const { return static_cast<uint32_t>(inodes_.size()); }
  [[nodiscard]] uint32_t shared_count() const { return shared_count_; }
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
  // The frozen form of a program, read-only, and where its pages are mapped copy on write. False if
  // there is none.
  [[nodiscard]] bool FrozenOf(uint32_t number, FrozenProgram* out, std::byte** pages) const;

 private:
  [[nodiscard]] bool CheckInode(const ImageInode& inode, const ImageHeader& header) const;
  [[nodiscard]] bool CheckDirectory(uint32_t number) const;

  std::span<const std::byte> file_;
  const std::byte* code_ = nullptr;
  std::byte* frozen_ = nullptr;
  uint64_t frozen_offset_ = 0;
  std::span<const ImageInode> inodes_;
  std::span<const ImageEntry> entries_;
  const char* strings_ = nullptr;
  uint32_t shared_count_ = 0;
};

}  // namespace cordon::vfs

#endif  // CORDON_VFS_IMAGE_H_
