#include "base/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "base/write_all.h"

namespace cordon {
namespace {

constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

}  // namespace

Result<OwnedFd> NewMemoryFile(const char* name) {
  OwnedFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return SystemError("memfd_create(" + std::string(name) + ")");
  return fd;
}

Result<OwnedFd> MemoryFileWith(const char* name, std::string_view bytes) {
  return MemoryFileWith(name, std::as_bytes(std::span(bytes)));
}

Result<OwnedFd> MemoryFileWith(const char* name, std::span<const std::byte> bytes) {
  Result<OwnedFd> fd = NewMemoryFile(name);
  if (!fd) return fd;
  CORDON_TRY(WriteAll(fd->get(), bytes, name));
  if (lseek(fd->get(), 0, SEEK_SET) != 0) return SystemError("lseek(" + std::string(name) + ")");
  return fd;
}

Status SealMemoryFile(int fd) {
  if (fcntl(fd, F_ADD_SEALS, kSeals) != 0) return SystemError("fcntl(F_ADD_SEALS)");
  return {};
}

Result<bool> IsSealedMemoryFile(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0) return SystemError("fcntl(F_GET_SEALS)");
  return (seals & kSeals) == kSeals;
}

}  // namespace cordon
