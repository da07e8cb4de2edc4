#ifndef CORDON_VFS_READ_ONLY_H_
#define CORDON_VFS_READ_ONLY_H_

// A directory of another file system and what is below, which nobody can change through this: every
// change is EROFS. Inodes are the other's. It is mounted over the directory itself.

#include "vfs/filesystem.h"

namespace cordon::vfs {

class ReadOnly final : public FileSystem {
 public:
  // Takes over the reference on `root`.
  explicit ReadOnly(const Node& root) : below_(*root.fs), root_(root.id) {}

  Node Root() override { return {this, root_}; }
  void Reference(uint64_t id) override { below_.Reference(id); }
  void Release(uint64_t id) override { below_.Release(id); }
  int Lookup(const Credentials& who, uint64_t directory, std::string_view name, Node* out) override;
  int Parent(uint64_t directory, Node* out) override;
  int Create(const Credentials& who, uint64_t directory, std::string_view name, uint32_t mode,
             uint64_t rdev, Node* out) override;
  int Symlink(const Credentials& who, uint64_t directory, std::string_view name,
              std::string_view target) override;
  int Link(const Credentials& who, uint64_t node, uint64_t directory,
           std::string_view name) override;
  int Remove(const Credentials& who, uint64_t directory, std::string_view name,
             Removal kind) override;
  int Rename(const Credentials& who, uint64_t from, std::string_view from_name, uint64_t to,
             std::string_view to_name, uint32_t flags) override;
  int GetStat(uint64_t id, Stat* out) override { return below_.GetStat(id, out); }
  uint32_t ModeOf(uint64_t id) override { return below_.ModeOf(id); }
  int SetAttributes(const Credentials& who, uint64_t id, const Attributes& change) override;
  int Access(const Credentials& who, uint64_t id, uint32_t access) override;
  int64_t Read(uint64_t id, uint64_t offset, void* to, uint64_t size) override {
    return below_.Read(id, offset, to, size);
  }
  int64_t Write(uint64_t id, uint64_t offset, const void* from, uint64_t size,
                uint64_t* end) override;
  int Truncate(uint64_t id, uint64_t size) override;
  int Allocate(uint64_t id, uint64_t offset, uint64_t size, bool keep_size) override;
  int64_t SeekHole(uint64_t id, uint64_t offset, int whence) override {
    return below_.SeekHole(id, offset, whence);
  }
  int64_t ReadLink(uint64_t id, char* to, uint64_t size) override {
    return below_.ReadLink(id, to, size);
  }
  int List(uint64_t directory, uint64_t cookie, DirectorySink sink) override {
    return below_.List(directory, cookie, sink);
  }
  int StatFileSystem(FileSystemStat* out) override { return below_.StatFileSystem(out); }
  Attachment* AttachmentOf(uint64_t id) override { return below_.AttachmentOf(id); }
  bool ProgramOf(uint64_t id, Program* out) override { return below_.ProgramOf(id, out); }
  bool CopiedProgramOf(uint64_t id, Program* out) override {
    return below_.CopiedProgramOf(id, out);
  }

 private:
  FileSystem& below_;
  const uint64_t root_;
};

}  // namespace cordon::vfs

#endif  // CORDON_VFS_READ_ONLY_H_
