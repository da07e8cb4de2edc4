#ifndef CORDON_ARCHIVE_SEALED_BYTES_H_
#define CORDON_ARCHIVE_SEALED_BYTES_H_

// Archives in memory that nobody changes any more: what was verified stays so, and what is mapped
// does not go away.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::archive {

// A sealed file, mapped to be read. One that is not sealed, or no file in memory, is refused.
class SealedBytes {
 public:
  // The first `size` bytes.
  [[nodiscard]] static Result<SealedBytes> Map(int fd, uint64_t size);
  SealedBytes(SealedBytes&& other) noexcept;
  SealedBytes& operator=(SealedBytes&&) = delete;
  ~SealedBytes();
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit SealedBytes(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

}  // namespace cordon::archive

#endif  // CORDON_ARCHIVE_SEALED_BYTES_H_
