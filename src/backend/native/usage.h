#ifndef CORDON_BACKEND_NATIVE_USAGE_H_
#define CORDON_BACKEND_NATIVE_USAGE_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>

namespace cordon::backend::native {

// What a sandbox's processes use together, looked at from outside.
struct Usage {
  uint64_t memory_bytes = 0;  // their own; pages that several share count once
  std::chrono::milliseconds cpu_time{0};
};
// Of the first process and all below it. Whoever has ended is counted with his parent.
[[nodiscard]] Usage MeasureUsage(pid_t first);

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_USAGE_H_
