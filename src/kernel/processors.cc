#include "kernel/processors.h"

#include <sched.h>

#include <algorithm>

namespace cordon::kernel {
namespace {

uint32_t count = 1;  // clones inherit it

}  // namespace

void CountProcessors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    count = std::clamp<uint32_t>(static_cast<uint32_t>(CPU_COUNT(&set)), 1, kMaxProcessors);
}

uint32_t ProcessorCount() {
  return count;
}

}  // namespace cordon::kernel
