#ifndef CORDON_BASE_SHA256_H_
#define CORDON_BASE_SHA256_H_

// SHA-256 (FIPS 180-4), for content addresses. Own code because the command line is linked
// statically and starts in a millisecond: libcrypto alone would cost more than that.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace cordon {

class Sha256 {
 public:
  using Digest = std::array<uint8_t, 32>;

  Sha256();
  void Update(std::span<const std::byte> bytes);
  void Update(const std::string& text);
  // Two at once, of any lengths: as far as both go, it takes little longer than one.
  static void UpdateBoth(Sha256& one, std::span<const std::byte> of_one, Sha256& other,
                         std::span<const std::byte> of_other);
  // Ends the computation; the object must not be used after it.
  [[nodiscard]] Digest Finish();

  // 64 lower-case hexadecimal digits.
  [[nodiscard]] static std::string Hex(const Digest& digest);

 private:
  void Compress(const std::byte* blocks, size_t count);
  // Takes as many bytes as are missing to a whole block.
  void Complete(std::span<const std::byte>* bytes);

  std::array<uint32_t, 8> state_;
  std::array<std::byte, 64> pending_{};
  size_t pending_size_ = 0;
  uint64_t total_size_ = 0;
};

}  // namespace cordon

#endif  // CORDON_BASE_SHA256_H_
