#ifndef CORDON_KERNEL_ENTRY_H_
#define CORDON_KERNEL_ENTRY_H_

// The border between a guest's code and the kernel: calls, safe points, faults, kicks, stacks.

#include <cstdint>
#include <span>

#include "wasm/instance.h"

namespace cordon::kernel {

extern "C" {
// entry_x86_64.S
void cordon_host_call(wasm::Context* context, uint32_t import, uint64_t* slots);
[[noreturn]] void cordon_run_on(void* stack_top, void (*function)());
void cordon_poll(wasm::Context* context);
}

// The instance that the thread runs, null before the first.
wasm::Context* CurrentContext();
// What compiled code calls besides imports; each is a short call of the kernel.
wasm::HostFunctions KernelFunctions();
// An instance for one more thread of `creator`'s program; null if there is no room for its types.
wasm::Context* InstantiateForThread(const wasm::Context& creator, std::span<std::byte> storage,
                                    const uint32_t* poll_word);
// Stacks of the calling thread.
void* BaseStackTop();
wasm::NativeStack GuestStack();
// Writes a line to the standard error of the process.
void WriteMessage(const char* text);
// Says which trap it was and where, and ends the process by the signal that Linux would send.
[[noreturn]] void EndByTrap(wasm::TrapCode code);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_ENTRY_H_
