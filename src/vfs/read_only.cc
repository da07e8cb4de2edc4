#include "vfs/read_only.h"

#include <sys/stat.h>

#include <cerrno>

namespace cordon::vfs {
namespace {
constexpr uint32_t kWrite = 2;  // W_OK
}  // namespace

int ReadOnly::Lookup(const Credentials& who, uint64_t directory, std::string_view name, Node* out) {
  const int error = below_.Lookup(who, directory, name, out);
  if (error == 0) out->fs = this;
  return error;
}

int ReadOnly::Parent(uint64_t directory, Node* out) {
  // Who walks up from here looks into the table of mounts first.
  if (directory == root_) {
    Reference(root_);
    *out = Root();
    return 0;
  }
  const int error = below_.Parent(directory, out);
  if (error == 0) out->fs = this;
  return error;
}

int ReadOnly::Create(const Credentials& who, uint64_t directory, std::string_view name,
                     uint32_t /*mode*/, uint64_t /*rdev*/, Node* /*out*/) {
  // What is there is there: whoever opens it to read did not want to make it.
  Node there;
  const int error = below_.Lookup(who, directory, name, &there);
  if (error != 0) return error == -ENOENT ? -EROFS : error;
  below_.Release(there.id);
  return -EEXIST;
}

int ReadOnly::Symlink(const Credentials& /*who*/, uint64_t /*directory*/, std::string_view /*name*/,
                      std::string_view /*target*/) {
  return -EROFS;
}

int ReadOnly::Link(const Credentials& /*who*/, uint64_t /*node*/, uint64_t /*directory*/,
                   std::string_view /*name*/) {
  return -EROFS;
}

int ReadOnly::Remove(const Credentials& /*who*/, uint64_t /*directory*/, std::string_view /*name*/,
                     Removal /*kind*/) {
  return -EROFS;
}

int ReadOnly::Rename(const Credentials& /*who*/, uint64_t /*from*/, std::string_view /*from_name*/,
                     uint64_t /*to*/, std::string_view /*to_name*/, uint32_t /*flags*/) {
  return -EROFS;
}

int ReadOnly::SetAttributes(const Credentials& /*who*/, uint64_t /*id*/,
                            const Attributes& /*change*/) {
  return -EROFS;
}

int ReadOnly::Access(const Credentials& who, uint64_t id, uint32_t access) {
  // Devices and pipes are written to, not changed.
  const uint32_t mode = below_.ModeOf(id);
  const bool is_changed = S_ISREG(mode) || S_ISDIR(mode);
  return is_changed && (access & kWrite) != 0 ? -EROFS : below_.Access(who, id, access);
}

int64_t ReadOnly::Write(uint64_t /*id*/, uint64_t /*offset*/, const void* /*from*/,
                        uint64_t /*size*/, uint64_t* /*end*/) {
  return -EROFS;
}

int ReadOnly::Truncate(uint64_t /*id*/, uint64_t /*size*/) {
  return -EROFS;
}

int ReadOnly::Allocate(uint64_t /*id*/, uint64_t /*offset*/, uint64_t /*size*/,
                       bool /*keep_size*/) {
  return -EROFS;
}

}  // namespace cordon::vfs
