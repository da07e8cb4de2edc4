#ifndef CORDON_KERNEL_TERMINAL_NODES_H_
#define CORDON_KERNEL_TERMINAL_NODES_H_

// The names of terminals in the file system: /dev/ptmx and /dev/pts/N.

#include <cstdint>

#include "vfs/filesystem.h"

namespace cordon::kernel {

inline constexpr uint32_t kPtsMajor = 136;

void CreateTerminalNodes();
void AddTerminalNode(uint32_t number);
void RemoveTerminalNode(uint32_t number);
// Referenced; without a file system if it was removed.
vfs::Node TerminalNode(uint32_t number);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_TERMINAL_NODES_H_
