#ifndef CORDON_KERNEL_PROC_FS_H_
#define CORDON_KERNEL_PROC_FS_H_

// /proc, as proc(5) describes it, of what is in the sandbox. Nothing is stored: a node's number
// says what it is of whom, and contents are written when they are read.

#include <cstdint>
#include <string_view>

#include "kernel/open_file.h"
#include "vfs/filesystem.h"

namespace cordon::kernel {

// Mounts it at /proc. Called once, at boot.
void MountProc();

// A pipe or stream of a descriptor: /proc/PID/fd/N leads to it, not to a path.
[[nodiscard]] bool IsDescriptorNode(const vfs::Node& node);
// What that descriptor has open, once more.
int32_t ReopenDescriptor(const vfs::Node& node, uint32_t flags, OpenFile** out);

// The path under which a node is found from the root of the caller, without its final zero: its
// length, or -ENOENT if no name leads there. Searches the whole tree of a file.
int64_t FindPath(const vfs::Node& node, char* to, uint64_t size);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_PROC_FS_H_
