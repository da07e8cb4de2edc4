#ifndef CORDON_KERNEL_GUEST_MEMORY_H_
#define CORDON_KERNEL_GUEST_MEMORY_H_

// Memory of the calling guest, by its 32-bit addresses. Nothing here trusts an address: every
// access is a copy that survives a fault, and nothing is read twice.

#include <cstdint>
#include <string_view>

#include "arena/layout.h"

namespace cordon::kernel {

inline void* GuestPointer(uint32_t address) {
  return reinterpret_cast<void*>(layout::kMemory + address);
}

// 0 or -EFAULT; either side may be the guest's.
extern "C" int cordon_copy(void* to, const void* from, uint64_t size);

[[nodiscard]] inline int CopyIn(void* to, uint32_t from, uint32_t size) {
  return cordon_copy(to, GuestPointer(from), size);
}
[[nodiscard]] inline int CopyOut(uint32_t to, const void* from, uint32_t size) {
  return cordon_copy(GuestPointer(to), from, size);
}
template <typename T>
[[nodiscard]] int Load(T* to, uint32_t from) {
  return CopyIn(to, from, sizeof(T));
}
template <typename T>
[[nodiscard]] int Store(uint32_t to, const T& value) {
  return CopyOut(to, &value, sizeof(T));
}
// A string with its zero, at most `size` bytes: its length, -EFAULT, or -ENAMETOOLONG.
[[nodiscard]] int32_t CopyString(char* to, uint32_t from, uint32_t size);

// A path argument.
struct GuestPath {
  explicit GuestPath(uint32_t address) : length(CopyString(text, address, sizeof text)) {}
  // Counted, without a zero at its end.
  GuestPath(uint32_t address, uint32_t size);
  [[nodiscard]] std::string_view view() const { return {text, static_cast<size_t>(length)}; }
  char text[4096];
  int32_t length;  // or the error
};

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_GUEST_MEMORY_H_
