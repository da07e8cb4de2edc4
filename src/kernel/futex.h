#ifndef CORDON_KERNEL_FUTEX_H_
#define CORDON_KERNEL_FUTEX_H_

// Futexes: words of linear memory, which no two processes share. So the waiting threads of a
// process are in a table in its private memory, and each sleeps on its own wake word, as
// everywhere.

#include <cstdint>

namespace cordon::kernel {

// Sleeps if the word has this value. 0 woken, -EAGAIN another value, -ETIMEDOUT, -EFAULT, or
// kRestart when it was interrupted.
int32_t WaitForFutex(uint32_t address, uint32_t expected, uint64_t deadline_ns);
int32_t WaitForWideFutex(uint32_t address, uint64_t expected, uint64_t deadline_ns);
// How many were woken.
uint32_t WakeFutex(uint32_t address, uint32_t count);
// Wakes up to `count` and lets up to `moved` of the others wait for another word: how many in all.
uint32_t RequeueFutex(uint32_t address, uint32_t count, uint32_t moved, uint32_t target);
// After a fork: the threads that waited are not here.
void ForgetFutexWaiters();

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_FUTEX_H_
