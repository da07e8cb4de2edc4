#ifndef CORDON_KERNEL_EPOLL_H_
#define CORDON_KERNEL_EPOLL_H_

// Epoll descriptors: sets of watched descriptions. A watch lies on the wait queues of what it
// watches for as long as it exists, and holds no reference: it goes with the description.

#include "kernel/check.h"
#include "kernel/open_file.h"

namespace cordon::kernel {

inline constexpr uint32_t kMaxWatches = 16384;  // of the sandbox

// At boot.
[[nodiscard]] bool CreateWatches();
// The last reference to a description goes; under no lock.
void ForgetWatches(OpenFile& file);

// What must hold while nothing runs; `is_empty`: no process is left.
void CheckWatches(Report& report, bool is_empty);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_EPOLL_H_
