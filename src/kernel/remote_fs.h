#ifndef CORDON_KERNEL_REMOTE_FS_H_
#define CORDON_KERNEL_REMOTE_FS_H_

// A file system that a server outside has (live/file_server.h), by requests in the control page
// (control.h). The server knows paths and nothing else; which node is which, and under what name
// now, is known here. Nothing is cached but what the last look at a node said: the host may change
// it at any time.
//
// Who waits for an answer leaves for a signal if the request can be made again, and in any case
// after a while, with EIO.

#include <cstdint>

#include "arena/lock.h"
#include "kernel/control.h"
#include "kernel/file_call.h"
#include "vfs/filesystem.h"

namespace cordon::kernel {

struct RemoteNode;

class RemoteFs final : public vfs::FileSystem {
 public:
  // `index`: of the mount, as the server counts them. `flags`: control::MountFlags.
  RemoteFs(uint32_t index, uint32_t flags)
      : index_(index),
        is_read_only_((flags & control::kMountReadOnly) != 0),
        server_((flags & control::kMountOfClient) != 0 ? FileCall::Server::kClient
                                                       : FileCall::Server::kDirectory) {}
  // False: no memory.
  [[nodiscard]] bool Prepare();
  vfs::Node Root() override;
  void Reference(uint64_t id) override;
  void Release(uint64_t id) override;
  int Lookup(const vfs::Credentials& who, uint64_t directory, std::string_view name,
             vfs::Node* out) override;
  int Parent(uint64_t directory, vfs::Node* out) override;
  int Create(const vfs::Credentials& who, uint64_t directory, std::string_view name, uint32_t mode,
             uint64_t rdev, vfs::Node* out) override;
  int Symlink(const vfs::Credentials& who, uint64_t directory, std::string_view name,
              std::string_view target) override;
  int Link(const vfs::Credentials& who, uint64_t node, uint64_t directory,
           std::string_view name) override;
  int Remove(const vfs::Credentials& who, uint64_t directory, std::string_view name,
             Removal kind) override;
  int Rename(const vfs::Credentials& who, uint64_t from, std::string_view from_name, uint64_t to,
             std::string_view to_name, uint32_t flags) override;
  int GetStat(uint64_t id, vfs::Stat* out) override;
  uint32_t ModeOf(uint64_t id) override;
  int SetAttributes(const vfs::Credentials& who, uint64_t id,
                    const vfs::Attributes& change) override;
  int Access(const vfs::Credentials& who, uint64_t id, uint32_t access) override;
  int64_t Read(uint64_t id, uint64_t offset, void* to, uint64_t size) override;
  int64_t Write(uint64_t id, uint64_t offset, const void* from, uint64_t size,
                uint64_t* end) override;
  int Truncate(uint64_t id, uint64_t size) override;
  int Allocate(uint64_t id, uint64_t offset, uint64_t size, bool keep_size) override;
  int64_t SeekHole(uint64_t id, uint64_t offset, int whence) override;
  int64_t ReadLink(uint64_t id, char* to, uint64_t size) override;
  int List(uint64_t directory, uint64_t cookie, vfs::DirectorySink sink) override;
  int StatFileSystem(vfs::FileSystemStat* out) override;
  vfs::Attachment* AttachmentOf(uint64_t id) override;

 private:
  static constexpr uint32_t kBuckets = 1024;
  class Call;

  // Under lock_.
  [[nodiscard]] RemoteNode** BucketOf(const RemoteNode* parent, std::string_view name);
  [[nodiscard]] RemoteNode* FindChild(const RemoteNode* parent, std::string_view name);
  void Forget(RemoteNode* node);
  // The node of a name, made if need be, referenced; null: no memory.
  RemoteNode* ChildOf(RemoteNode* parent, std::string_view name);
  // Of a request about a node, or about a name in it.
  [[nodiscard]] int64_t PathOf(const RemoteNode* node, std::string_view name, char* to);
  // Asks about a path; what it answers becomes what is known of the node.
  [[nodiscard]] int Look(RemoteNode* node);
  [[nodiscard]] int LookAt(RemoteNode* directory, std::string_view name, control::FileFacts* out);

  const uint32_t index_;
  const bool is_read_only_;
  const FileCall::Server server_;
  Mutex lock_;  // the tree of nodes; never held over a request
  RemoteNode* root_ = nullptr;
  RemoteNode** buckets_ = nullptr;
};

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_REMOTE_FS_H_
