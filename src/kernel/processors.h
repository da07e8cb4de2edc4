#ifndef CORDON_KERNEL_PROCESSORS_H_
#define CORDON_KERNEL_PROCESSORS_H_

// How many processors the sandbox may use.

#include <cstdint>

namespace cordon::kernel {

inline constexpr uint32_t kMaxProcessors = 1024;

// Asks the host; before the filter is loaded.
void CountProcessors();
[[nodiscard]] uint32_t ProcessorCount();

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_PROCESSORS_H_
