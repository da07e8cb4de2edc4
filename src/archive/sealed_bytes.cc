#include "archive/sealed_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <utility>

namespace cordon::archive {
namespace {

constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

}  // namespace

Result<OwnedFd> NewMemory(const char* name) {
  OwnedFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return SystemError("memfd_create()");
  return fd;
}

Status Seal(int fd) {
  if (fcntl(fd, F_ADD_SEALS, kSeals) != 0) return SystemError("fcntl(F_ADD_SEALS)");
  return {};
}

Result<SealedBytes> SealedBytes::Map(int fd, uint64_t size) {
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0) return SystemError("fcntl(F_GET_SEALS)");
  struct stat stat = {};
  if (fstat(fd, &stat) != 0) return SystemError("fstat(archive)");
  if ((seals & kSeals) != kSeals || static_cast<uint64_t>(stat.st_size) < size) {
    return Fail(ErrorCode::kInvalid, "an archive that somebody may still change");
  }
  if (size == 0) return SealedBytes({});
  void* at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (at == MAP_FAILED) return SystemError("mmap(archive)");
  return SealedBytes({static_cast<const std::byte*>(at), size});
}

SealedBytes::SealedBytes(SealedBytes&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

SealedBytes::~SealedBytes() {
  if (!bytes_.empty()) (void)munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace cordon::archive
