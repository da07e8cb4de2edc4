#ifndef CORDON_KERNEL_ENTRY_H_
#define CORDON_KERNEL_ENTRY_H_

// The border between a guest's code and the kernel: calls, safe points, faults, kicks, stacks.

#include <cstdint>

#include "wasm/instance.h"

namespace cordon::kernel {

extern "C" {
// entry_x86_64.S
void cordon_host_call(wasm::Context* context, uint32_t import, uint64_t* slots);
[[noreturn]] void cordon_run_on(void* stack_top, void (*function)());
void cordon_poll(wasm::Context* context);
}

// Offsets in layout::kPrivate.
inline constexpr uint64_t kBaseStackBytes = 256 * 1024;
inline constexpr uint64_t kSignalStackOffset = kBaseStackBytes;
inline constexpr uint64_t kSignalStackBytes = 256 * 1024;
inline constexpr uint64_t kStartStringsOffset = kSignalStackOffset + kSignalStackBytes;

// The instance that runs in this process, null before the first.
wasm::Context* CurrentContext();
void* BaseStackTop();
wasm::NativeStack GuestStack();
// Writes a line to the standard error of the process.
void WriteMessage(const char* text);
// Says which trap it was and where, and ends the process by the signal that Linux would send.
[[noreturn]] void EndByTrap(wasm::TrapCode code);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_ENTRY_H_
