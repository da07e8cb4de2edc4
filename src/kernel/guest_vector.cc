#include "kernel/guest_vector.h"

#include <algorithm>
#include <cerrno>

#include "kernel/guest_memory.h"

namespace cordon::kernel {

int32_t LoadVectors(uint32_t address, uint32_t count, GuestVectors* out) {
  if (count > IOV_MAX) return -EINVAL;
  if (CopyIn(out->parts, address, count * sizeof(GuestVector)) != 0) return -EFAULT;
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count; ++i) bytes += out->parts[i].size;
  if (bytes > INT32_MAX) return -EINVAL;
  out->count = count;
  out->bytes = static_cast<uint32_t>(bytes);
  return 0;
}

template <typename CopyPart>
int32_t CallerBytes::EachPart(uint64_t offset, uint64_t size, CopyPart copy) const {
  if (vectors_ == nullptr) return copy(at_ + offset, size);
  for (uint32_t i = 0; i < vectors_->count && size > 0; ++i) {
    const GuestVector& part = vectors_->parts[i];
    if (offset >= part.size) {
      offset -= part.size;
      continue;
    }
    const uint64_t count = std::min(part.size - offset, size);
    const uint64_t address = part.base + offset;
    if (address + count > UINT32_MAX) return -EFAULT;
    const int32_t error =
        copy(static_cast<std::byte*>(GuestPointer(static_cast<uint32_t>(address))), count);
    if (error != 0) return error;
    size -= count;
    offset = 0;
  }
  return 0;
}

int32_t CallerBytes::CopyIn(uint64_t offset, std::byte* to, uint64_t size) const {
  return EachPart(offset, size, [&to](const std::byte* caller, uint64_t count) {
    const int32_t error = cordon_copy(to, caller, count);
    to += count;
    return error;
  });
}

int32_t CallerBytes::CopyOut(uint64_t offset, const std::byte* from, uint64_t size) const {
  return EachPart(offset, size, [&from](std::byte* caller, uint64_t count) {
    const int32_t error = cordon_copy(caller, from, count);
    from += count;
    return error;
  });
}

}  // namespace cordon::kernel
