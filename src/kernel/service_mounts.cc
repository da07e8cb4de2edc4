// Requests of the keeper about mounts. Only the service changes the table, one request at a time;
// everybody else reads it.

#include <sys/stat.h>

#include <cerrno>
#include <new>

#include "kernel/process.h"
#include "kernel/remote_fs.h"
#include "kernel/service.h"
#include "vfs/read_only.h"

namespace cordon::kernel {
namespace {

// What is mounted at a directory that was walked to, which led into it; null: nothing.
vfs::Mount* MountAt(const vfs::Node& root) {
  vfs::MountTable& table = TheKernel().mounts;
  // The first is /proc.
  for (uint32_t i = table.count.load(); i-- > 1;) {
    vfs::Mount& mount = table.mounts[i];
    if (mount.root == root && !mount.is_detached.load()) return &mount;
  }
  return nullptr;
}

int32_t WalkTo(std::string_view path, vfs::Node* out) {
  const Process& service = Current();
  const int32_t error = vfs::Walk(TheKernel().mounts, service.who, service.root, service.root, path,
                                  vfs::kNoFollow, out);
  if (error != 0 || S_ISDIR(out->fs->ModeOf(out->id))) return error;
  out->fs->Release(out->id);
  return -ENOTDIR;
}

// Shows the directory of `shown`, which nobody can change through it; takes over that reference.
vfs::FileSystem* NewReadOnly(const vfs::Node& shown) {
  void* memory = TheKernel().arena->Allocate(sizeof(vfs::ReadOnly));
  return memory == nullptr ? nullptr : new (memory) vfs::ReadOnly(shown);
}

vfs::FileSystem* NewRemote(uint32_t index, uint32_t flags) {
  void* memory = TheKernel().arena->Allocate(sizeof(RemoteFs));
  if (memory == nullptr) return nullptr;
  auto* remote = new (memory) RemoteFs(index, flags);
  return remote->Prepare() ? remote : nullptr;
}

int32_t Mount(uint32_t index, uint32_t flags, std::string_view path, std::string_view shown) {
  vfs::MountTable& table = TheKernel().mounts;
  const uint32_t count = table.count.load();
  if (count == vfs::kMaxMounts) return -ENOSPC;
  if (index != control::kReadOnlyMount && index >= control::kMaxFileMounts) return -EINVAL;
  vfs::Node covered;
  int32_t error = WalkTo(path, &covered);
  if (error != 0) return error;
  vfs::Node from;
  if (covered == Current().root) {
    error = -EINVAL;
  } else if (MountAt(covered) != nullptr) {
    error = -EBUSY;
  } else if (index == control::kReadOnlyMount) {
    error = WalkTo(shown, &from);
  }
  vfs::FileSystem* fs = nullptr;
  if (error == 0) {
    fs = index == control::kReadOnlyMount ? NewReadOnly(from) : NewRemote(index, flags);
    if (fs == nullptr) error = -ENOMEM;
  }
  if (error != 0) {
    covered.fs->Release(covered.id);
    return error;
  }
  table.mounts[count].covered = covered;
  table.mounts[count].root = fs->Root();
  table.count.store(count + 1);
  return 0;
}

int32_t Unmount(std::string_view path) {
  vfs::Node root;
  const int32_t error = WalkTo(path, &root);
  if (error != 0) return error;
  vfs::Mount* mount = MountAt(root);
  root.fs->Release(root.id);
  if (mount == nullptr) return -EINVAL;
  mount->is_detached.store(true);
  return 0;
}

}  // namespace

int32_t AnswerAboutMounts(control::Mailbox& mailbox, uint32_t payload_bytes) {
  const auto* at = reinterpret_cast<const char*>(mailbox.payload);
  const char* end = at + payload_bytes;
  const std::string_view path = NextString(at, end);
  if (static_cast<control::Request>(mailbox.request.load()) == control::Request::kUnmount)
    return Unmount(path);
  return Mount(mailbox.arg[0].load(), mailbox.arg[1].load(), path, NextString(at, end));
}

}  // namespace cordon::kernel
