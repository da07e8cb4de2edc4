#ifndef CORDON_KERNEL_PATH_CALLS_H_
#define CORDON_KERNEL_PATH_CALLS_H_

// What calls on paths do, for both import modules. `descriptor` is a directory or AT_FDCWD; flags
// and modes are Linux's. Results are 0, a value, or -errno.

#include <cstdint>

#include "kernel/guest_memory.h"
#include "vfs/filesystem.h"

namespace cordon::kernel {

// The new descriptor.
int64_t OpenAt(uint32_t descriptor, const GuestPath& path, uint32_t flags, uint32_t mode);
int64_t StatAt(uint32_t descriptor, const GuestPath& path, uint32_t flags, vfs::Stat* out);
int64_t StatDescriptor(uint32_t descriptor, vfs::Stat* out);
// A directory, file, FIFO or socket, by the type in `mode`; the umask is applied here.
int64_t MakeNodeAt(uint32_t descriptor, const GuestPath& path, uint32_t mode);
int64_t UnlinkAt(uint32_t descriptor, const GuestPath& path, uint32_t flags);
int64_t SymlinkAt(const GuestPath& target, uint32_t descriptor, const GuestPath& path);
int64_t LinkAt(uint32_t from, const GuestPath& from_path, uint32_t to, const GuestPath& to_path,
               uint32_t flags);
int64_t RenameAt(uint32_t from, const GuestPath& from_path, uint32_t to, const GuestPath& to_path,
                 uint32_t flags);
// Into guest memory; the bytes written.
int64_t ReadLinkAt(uint32_t descriptor, const GuestPath& path, uint32_t address, uint32_t size);
int64_t ChangeAt(uint32_t descriptor, const GuestPath& path, uint32_t flags,
                 const vfs::Attributes& change);
int64_t ChangeDescriptor(uint32_t descriptor, const vfs::Attributes& change);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_PATH_CALLS_H_
