#ifndef CORDON_BACKEND_WASM_USAGE_SAMPLER_H_
#define CORDON_BACKEND_WASM_USAGE_SAMPLER_H_

// The second enforcement of memory and the only one of processor time: what the host says about the
// sandbox's processes. The kernel inside counts memory exactly; this notices code that takes it
// without asking the kernel.

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "backend/wasm/keeper.h"

namespace cordon::backend {

class UsageSampler {
 public:
  struct Limits {
    std::optional<std::chrono::milliseconds> cpu_time;
    uint64_t memory_bytes;
    bool measures_use = false;  // use() is wanted
  };
  struct Use {
    uint64_t memory_bytes = 0;  // what processes share is divided among them
    uint64_t processes = 0;
  };
  enum class Verdict { kWithin, kCpuTime, kMemory };
  using TimePoint = std::chrono::steady_clock::time_point;

  // Processor time counts from `cpu_before`.
  UsageSampler(const Keeper& keeper, const Limits& limits, std::chrono::nanoseconds cpu_before);

  // Does nothing before next().
  [[nodiscard]] Verdict Sample(TimePoint now);
  [[nodiscard]] TimePoint next() const { return std::min(next_cpu_, next_memory_); }
  // As of the last sample; nothing before it.
  [[nodiscard]] const std::optional<Use>& use() const { return use_; }
  void MeasureNow();
  // The keeper's sandbox is another one, or has other processes.
  void Forget();
  // The last sample was not as the one before.
  [[nodiscard]] bool is_changing() const { return limits_.measures_use && same_ == 0; }

  // Of all children, living or reaped.
  [[nodiscard]] static std::chrono::nanoseconds TotalProcessorTime();

 private:
  [[nodiscard]] bool IsOverCpu(TimePoint now);
  [[nodiscard]] bool IsOverMemory(TimePoint now);
  // By the processes that were listed.
  [[nodiscard]] uint64_t AllowedBytes() const;

  const Keeper& keeper_;
  Limits limits_;
  std::chrono::nanoseconds cpu_before_;
  TimePoint next_cpu_;
  TimePoint next_memory_;
  std::vector<pid_t> pids_;
  TimePoint listed_{};
  std::optional<Use> use_;
  uint64_t resident_bytes_ = 0;  // when use_ was measured
  int same_ = 0;                 // samples since then that did not differ
};

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_USAGE_SAMPLER_H_
