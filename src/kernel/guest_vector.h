#ifndef CORDON_KERNEL_GUEST_VECTOR_H_
#define CORDON_KERNEL_GUEST_VECTOR_H_

// The memory that a call moves bytes from or to: one piece, or the parts of a guest's iovec.

#include <climits>
#include <cstddef>
#include <cstdint>

namespace cordon::kernel {

struct GuestVector {
  uint32_t base;
  uint32_t size;
};

struct GuestVectors {
  GuestVector parts[IOV_MAX];
  uint32_t count;
  uint32_t bytes;  // of all parts
};

// Copies the array in: 0, -EFAULT, or -EINVAL for too many parts or bytes.
[[nodiscard]] int32_t LoadVectors(uint32_t address, uint32_t count, GuestVectors* out);

// Both copies survive faults: 0 or -EFAULT.
class CallerBytes {
 public:
  // A piece of the guest's memory, or of the kernel's.
  CallerBytes(void* at, uint64_t size) : at_(static_cast<std::byte*>(at)), size_(size) {}
  explicit CallerBytes(const GuestVectors& vectors) : vectors_(&vectors), size_(vectors.bytes) {}

  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] int32_t CopyIn(uint64_t offset, std::byte* to, uint64_t size) const;
  [[nodiscard]] int32_t CopyOut(uint64_t offset, const std::byte* from, uint64_t size) const;

 private:
  template <typename CopyPart>
  int32_t EachPart(uint64_t offset, uint64_t size, CopyPart copy) const;

  std::byte* at_ = nullptr;
  const GuestVectors* vectors_ = nullptr;
  uint64_t size_;
};

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_GUEST_VECTOR_H_
