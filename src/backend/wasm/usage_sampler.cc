#include "backend/wasm/usage_sampler.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "backend/wasm/process_table.h"

namespace cordon::backend {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr milliseconds kMemoryPeriod{100};
// Who they are is looked up among the processes of all forks.
constexpr milliseconds kListPeriod{1000};
// Sampling takes at most a fiftieth of a processor.
constexpr int kShare = 50;
constexpr milliseconds kShortestCpuPeriod{10};

// What the kernel does not count against the limit: its own private pages of a process and the part
// of the program's stacks that was touched.
constexpr uint64_t kAllowanceBytes = uint64_t{64} << 20;
constexpr uint64_t kProcessAllowanceBytes = uint64_t{2} << 20;

// What several share may have become one's own although nobody has more or less.
constexpr int kMostSame = 10;

}  // namespace

UsageSampler::UsageSampler(const Keeper& keeper, const Limits& limits, nanoseconds cpu_before)
    : keeper_(keeper),
      limits_(limits),
      cpu_before_(cpu_before),
      next_cpu_(limits.cpu_time ? steady_clock::now() : TimePoint::max()),
      next_memory_(steady_clock::now() + kMemoryPeriod) {}

nanoseconds UsageSampler::TotalProcessorTime() {
  nanoseconds total = ReapedProcessorTime();
  for (const pid_t pid : ListChildren()) total += ProcessorTime(pid);
  return total;
}

bool UsageSampler::IsOverCpu(TimePoint now) {
  const nanoseconds used = TotalProcessorTime() - cpu_before_;
  const nanoseconds left = *limits_.cpu_time - used;
  if (left <= nanoseconds::zero()) return true;
  // All processors together cannot use up what is left before that.
  const nanoseconds earliest = left / std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
  next_cpu_ = now + std::max<nanoseconds>(earliest, kShortestCpuPeriod);
  return false;
}

uint64_t UsageSampler::AllowedBytes() const {
  return limits_.memory_bytes + limits_.memory_bytes / 8 + kAllowanceBytes +
         pids_.size() * kProcessAllowanceBytes;
}

bool UsageSampler::IsOverMemory(TimePoint now) {
  const uint64_t shared = keeper_.files().UsedBytes();
  const auto measure = [&](uint64_t (*bytes_of)(pid_t)) {
    uint64_t sum = shared;
    for (const pid_t pid : pids_) sum += bytes_of(pid);
    return sum;
  };
  bool is_fresh = false;
  const auto list = [&] {
    pids_ = keeper_.ListProcesses();
    listed_ = now;
    is_fresh = true;
  };
  if (now - listed_ >= kListPeriod) list();
  uint64_t used = measure(PrivateBytes);
  // Nobody is ended for a number that somebody else has by now.
  if (used > AllowedBytes() && !is_fresh) {
    list();
    used = measure(PrivateBytes);
  }
  // Pages that forks still have in common were counted for each of them. The exact number costs
  // a walk over the page tables.
  const bool is_same = used == std::exchange(resident_bytes_, used) && ++same_ < kMostSame;
  const bool is_wanted = limits_.measures_use && !is_same;
  const bool may_be_over = used > AllowedBytes();
  if (may_be_over || is_wanted) used = measure(ProportionalPrivateBytes);
  if (is_wanted) {
    use_ = Use{used, pids_.size()};
    same_ = 0;
  }
  const auto cost = steady_clock::now() - now;
  next_memory_ = steady_clock::now() + std::max<nanoseconds>(kMemoryPeriod, cost * kShare);
  return may_be_over && used > AllowedBytes();
}

void UsageSampler::Forget() {
  resident_bytes_ = UINT64_MAX;
  listed_ = {};
}

void UsageSampler::MeasureNow() {
  Forget();
  (void)IsOverMemory(steady_clock::now());
}

UsageSampler::Verdict UsageSampler::Sample(TimePoint now) {
  if (now >= next_cpu_ && IsOverCpu(now)) return Verdict::kCpuTime;
  if (now >= next_memory_ && IsOverMemory(now)) return Verdict::kMemory;
  return Verdict::kWithin;
}

}  // namespace cordon::backend
