// cordon-mkimage ROOT OBJECTS OUT: packs the tree ROOT, the objects OBJECTS/usr%bin%NAME.cwo and
// the frozen programs OBJECTS/usr%bin%NAME.cwf (from `cordon freeze`) into a userland image. The
// same input makes the same file: order by name, no times but SOURCE_DATE_EPOCH, owners by place.

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "vfs/image.h"
#include "wasm/object.h"

namespace cordon::vfs {
namespace {

namespace stdfs = std::filesystem;
constexpr size_t kPage = 4096;
constexpr uint32_t kUserId = 1000;

Result<std::string> ReadAll(const stdfs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return SystemError("open(" + path.string() + ")");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

class Builder {
 public:
  Builder(stdfs::path root, stdfs::path objects)
      : root_(std::move(root)), objects_(std::move(objects)) {
    if (const char* epoch = getenv("SOURCE_DATE_EPOCH")) time_ = atoll(epoch);
  }

  Status AddTree() {
    inodes_.emplace_back();
    return AddNode(0, root_, "");
  }

  Status Write(const stdfs::path& out) {
    ImageHeader header = {};
    header.magic = kImageMagic;
    header.version = kImageVersion;
    header.inode_count = static_cast<uint32_t>(inodes_.size());
    header.entry_count = static_cast<uint32_t>(entries_.size());
    header.string_bytes = static_cast<uint32_t>(strings_.size());
    header.shared_count = MarkShared();
    header.inodes = 128;
    static_assert(sizeof header <= 128);
    header.entries = header.inodes + inodes_.size() * sizeof(ImageInode);
    header.strings = header.entries + entries_.size() * sizeof(ImageEntry);
    const uint64_t data = (header.strings + strings_.size() + 63) / 64 * 64;
    header.code_offset = (data + data_.size() + kPage - 1) / kPage * kPage;
    header.code_size = code_.size();
    header.frozen_offset = (header.code_offset + code_.size() + kPage - 1) / kPage * kPage;
    header.frozen_size = frozen_.size();
    header.file_size = header.frozen_offset + frozen_.size();
    for (ImageInode& inode : inodes_) {
      inode.data += data;
      inode.metadata += inode.metadata_size > 0 ? data : 0;
    }
    std::string file(header.file_size, '\0');
    memcpy(file.data(), &header, sizeof header);
    memcpy(file.data() + header.inodes, inodes_.data(), inodes_.size() * sizeof(ImageInode));
    memcpy(file.data() + header.entries, entries_.data(), entries_.size() * sizeof(ImageEntry));
    memcpy(file.data() + header.strings, strings_.data(), strings_.size());
    memcpy(file.data() + data, data_.data(), data_.size());
    memcpy(file.data() + header.code_offset, code_.data(), code_.size());
    memcpy(file.data() + header.frozen_offset, frozen_.data(), frozen_.size());
    const stdfs::path temporary = out.string() + ".new";
    std::ofstream stream(temporary, std::ios::binary | std::ios::trunc);
    stream.write(file.data(), static_cast<std::streamsize>(file.size()));
    stream.close();
    if (!stream) return SystemError("write(" + temporary.string() + ")");
    stdfs::rename(temporary, out);
    printf("%zu files, %zu bytes of code, %zu of frozen programs, %zu bytes\n", inodes_.size(),
           code_.size(), frozen_.size(), file.size());
    return {};
  }

 private:
  uint64_t Append(std::string* to, const std::string& bytes, size_t alignment) {
    to->resize((to->size() + alignment - 1) / alignment * alignment);
    const uint64_t at = to->size();
    *to += bytes;
    return at;
  }

  Status AddNode(uint32_t number, const stdfs::path& path, const std::string& guest_path) {
    struct stat stat = {};
    if (lstat(path.c_str(), &stat) != 0) return SystemError("lstat(" + path.string() + ")");
    ImageInode inode = {};
    inode.parent = inodes_[number].parent;
    inode.mode = stat.st_mode;
    inode.links = S_ISDIR(stat.st_mode) ? 2 : 1;
    inode.mtime = time_;
    if (guest_path.starts_with("home/user")) inode.uid = inode.gid = kUserId;
    if (S_ISLNK(stat.st_mode)) {
      const std::string target = stdfs::read_symlink(path).string();
      inode.data = Append(&data_, target, 1);
      inode.size = target.size();
      inode.mode = S_IFLNK | 0777;
    } else if (S_ISREG(stat.st_mode)) {
      const Result<std::string> bytes = ReadAll(path);
      if (!bytes) return std::unexpected(bytes.error());
      inode.data = Append(&data_, *bytes, bytes->size() >= kPage ? 64 : 1);
      inode.size = bytes->size();
      CORDON_TRY(AddObject(guest_path, &inode));
    } else if (S_ISDIR(stat.st_mode)) {
      inodes_[number] = inode;
      return AddDirectory(number, path, guest_path);
    } else {
      return Fail(ErrorCode::kUnsupported, "only files, links and directories", path.string());
    }
    inodes_[number] = inode;
    return {};
  }

  // Files with several names get slots, in the order of their inodes.
  uint32_t MarkShared() {
    uint32_t count = 0;
    for (const auto& [number, links] : more_links_) inodes_[number].links += links;
    for (ImageInode& inode : inodes_) {
      if (!S_ISDIR(inode.mode) && inode.links > 1) inode.shared_slot = ++count;
    }
    return count;
  }

  Status AddDirectory(uint32_t number, const stdfs::path& path, const std::string& guest_path) {
    std::vector<std::string> names;
    for (const auto& entry : stdfs::directory_iterator(path))
      names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    const auto first_entry = static_cast<uint32_t>(entries_.size());
    std::vector<std::pair<uint32_t, std::string>> children;
    for (const std::string& name : names) {
      struct stat stat = {};
      if (lstat((path / name).c_str(), &stat) != 0)
        return SystemError("lstat(" + (path / name).string() + ")");
      auto child = static_cast<uint32_t>(inodes_.size());
      const auto [known, fresh] = by_host_inode_.try_emplace({stat.st_dev, stat.st_ino}, child);
      if (fresh) {
        inodes_.emplace_back();
        inodes_[child].parent = number;
        children.emplace_back(child, name);
      } else {
        child = known->second;
        ++more_links_[child];
      }
      entries_.push_back(
          {static_cast<uint32_t>(strings_.size()), static_cast<uint32_t>(name.size()), child});
      strings_ += name;
    }
    inodes_[number].first_entry = first_entry;
    inodes_[number].entry_count = static_cast<uint32_t>(names.size());
    for (const auto& [child, name] : children) {
      const stdfs::path child_path = stdfs::path(guest_path) / name;
      CORDON_TRY(AddNode(child, path / name, child_path.string()));
      if (S_ISDIR(inodes_[child].mode)) ++inodes_[number].links;
    }
    return {};
  }

  Status AddObject(std::string guest_path, ImageInode* inode) {
    std::ranges::replace(guest_path, '/', '%');
    const stdfs::path path = objects_ / (guest_path + ".cwo");
    if (!stdfs::exists(path)) return {};
    const Result<std::string> bytes = ReadAll(path);
    if (!bytes) return std::unexpected(bytes.error());
    const Result<wasm::ObjectView> view = wasm::ParseObject(std::as_bytes(std::span(*bytes)));
    if (!view) return std::unexpected(view.error());
    const wasm::ObjectHeader& header = *view->header;
    inode->metadata_size = header.metadata_size;
    inode->metadata = Append(&data_, bytes->substr(0, header.metadata_size), 64);
    inode->image_size = header.image_size;
    inode->image_offset =
        Append(&code_, bytes->substr(header.image_offset, header.image_size), kPage);
    return AddFrozen(objects_ / (guest_path + ".cwf"), *view, inode);
  }

  // A program that was frozen, if it was: it has to be this one.
  Status AddFrozen(const stdfs::path& path, const wasm::ObjectView& view, ImageInode* inode) {
    if (!stdfs::exists(path)) return {};
    const Result<std::string> bytes = ReadAll(path);
    if (!bytes) return std::unexpected(bytes.error());
    FrozenProgram frozen;
    if (!frozen.Open(std::as_bytes(std::span(*bytes))))
      return Fail(ErrorCode::kCorrupt, "no frozen program", path.string());
    if (frozen.header->module_hash != view.header->module_hash)
      return Fail(ErrorCode::kInvalid, "frozen from another module", path.string());
    inode->frozen_size = bytes->size();
    inode->frozen = Append(&frozen_, *bytes, kPage);
    return {};
  }

  stdfs::path root_;
  stdfs::path objects_;
  int64_t time_ = 0;
  std::map<std::pair<dev_t, ino_t>, uint32_t> by_host_inode_;
  std::map<uint32_t, uint32_t> more_links_;  // names of an inode after its first
  std::vector<ImageInode> inodes_;
  std::vector<ImageEntry> entries_;
  std::string strings_;
  std::string data_;
  std::string code_;
  std::string frozen_;
};

}  // namespace
}  // namespace cordon::vfs

int main(int argc, char** argv) {
  if (argc != 4) {
    fputs("usage: cordon-mkimage ROOT OBJECTS OUT\n", stderr);
    return 125;
  }
  cordon::vfs::Builder builder(argv[1], argv[2]);
  cordon::Status status = builder.AddTree();
  if (status) status = builder.Write(argv[3]);
  if (status) return 0;
  fprintf(stderr, "cordon-mkimage: %s\n", status.error().ToString().c_str());
  return 125;
}
