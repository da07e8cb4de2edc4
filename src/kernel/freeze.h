#ifndef CORDON_KERNEL_FREEZE_H_
#define CORDON_KERNEL_FREEZE_H_

// Freezing: a program that has initialised itself writes what it is (vfs/frozen_program.h) to a
// descriptor, when the userland is built. How it goes on then is exec's.

#include <cstdint>

namespace cordon::kernel {

// Options of prctl, beyond Linux's numbers: "CF" and a letter. The second argument of the first is
// a descriptor.
inline constexpr uint32_t kPrctlFreeze = 0x4346'0001;
inline constexpr uint32_t kPrctlStartOver = 0x4346'0002;

// 0; -EBUSY when the program has something that memory and globals do not hold, which is said on
// standard error; or the error of writing.
int64_t Freeze(uint32_t descriptor);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_FREEZE_H_
