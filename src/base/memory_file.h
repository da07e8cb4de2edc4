#ifndef CORDON_BASE_MEMORY_FILE_H_
#define CORDON_BASE_MEMORY_FILE_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon {

// Memory as a file (memfd_create(2)), which may be sealed; `name` is what /proc shows.
[[nodiscard]] Result<OwnedFd> NewMemoryFile(const char* name);
// One that holds `bytes`, to be read from its beginning.
[[nodiscard]] Result<OwnedFd> MemoryFileWith(const char* name, std::string_view bytes);
[[nodiscard]] Result<OwnedFd> MemoryFileWith(const char* name, std::span<const std::byte> bytes);

// Nobody writes it, and it keeps its size: not even whoever has it open. EBUSY: it is mapped to be
// written (fcntl(2), F_ADD_SEALS).
[[nodiscard]] Status SealMemoryFile(int fd);
// False: somebody may still change it. An error: no file in memory.
[[nodiscard]] Result<bool> IsSealedMemoryFile(int fd);

}  // namespace cordon

#endif  // CORDON_BASE_MEMORY_FILE_H_
