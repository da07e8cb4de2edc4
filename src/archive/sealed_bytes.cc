#include "archive/sealed_bytes.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <utility>

#include "base/memory_file.h"

namespace cordon::archive {
Result<SealedBytes> SealedBytes::Map(int fd, uint64_t size) {
  const Result<bool> is_sealed = IsSealedMemoryFile(fd);
  if (!is_sealed) return std::unexpected(is_sealed.error());
  struct stat stat = {};
  if (fstat(fd, &stat) != 0) return SystemError("fstat(archive)");
  if (!*is_sealed || static_cast<uint64_t>(stat.st_size) < size) {
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
