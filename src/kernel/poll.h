#ifndef CORDON_KERNEL_POLL_H_
#define CORDON_KERNEL_POLL_H_

#include <cstdint>

namespace cordon::kernel {

// struct pollfd.
struct PollEntry {
  int32_t descriptor;  // negative: not looked at
  int16_t events;
  int16_t returned;
};

// Waits until a descriptor is ready: how many are, 0 at the deadline (0: at once), or
// kRestartSleep.
int32_t PollFiles(PollEntry* polls, uint32_t count, uint64_t deadline_ns);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_POLL_H_
