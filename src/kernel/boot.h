#ifndef CORDON_KERNEL_BOOT_H_
#define CORDON_KERNEL_BOOT_H_

// How the template starts the kernel: it maps everything at the addresses of arena/layout.h, calls
// PrepareBoot, loads the system call filter, and calls RunService.

namespace cordon::kernel {

// Reserves private memory, installs handlers for faults and kicks, points the memory segment at
// linear memory. May use any system call. False: a mapping failed.
[[nodiscard]] bool PrepareBoot();

// Initialises the arena and becomes guest process 1: answers the keeper, adopts orphans.
[[noreturn]] void RunService();

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_BOOT_H_
