#ifndef CORDON_BACKEND_NATIVE_USAGE_H_
#define CORDON_BACKEND_NATIVE_USAGE_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <utility>

namespace cordon::backend::native {

// What a sandbox's processes use together, looked at from outside.
struct Usage {
  // Their own; pages that several share, and files in memory that they have open, count once.
  uint64_t memory_bytes = 0;
  std::chrono::milliseconds cpu_time{0};
};

// Looks at the first process and all below it, time after time. Whoever has ended is counted with
// his parent, who may not have waited for him: so also with what was seen of him.
class UsageMeter {
 public:
  enum class Memory { kCount, kLeave };
  // `segments_bytes`: of shared memory of System V, which is seen from inside alone.
  [[nodiscard]] Usage Measure(pid_t first, Memory memory, uint64_t segments_bytes);

 private:
  using Process = std::pair<pid_t, uint64_t>;  // its number, and when it began
  std::map<Process, uint64_t> ticks_;          // of each that was there, itself alone
  uint64_t ticks_of_ended_ = 0;
};

}  // namespace cordon::backend::native

#endif  // CORDON_BACKEND_NATIVE_USAGE_H_
