#ifndef CORDON_KERNEL_WASI_H_
#define CORDON_KERNEL_WASI_H_

// WASI preview 1 over the same descriptors and files as the calls of module `cordon`. A program
// that imports it finds the working directory, and every directory in the root, opened from
// descriptor 3 on; descriptors above 2 are not inherited by it.

#include <cstdint>

#include "kernel/syscall.h"
#include "wasm/object.h"

namespace cordon::kernel {

// The handler is set if it matches.
[[nodiscard]] ImportMatch FindWasiCall(std::string_view name, const FunctionType& type,
                                       CallHandler* handler);
[[nodiscard]] bool ImportsWasi(const wasm::ObjectView& view);
// For the program that starts: opens its directories. 0 or -errno.
int32_t OpenWasiDirectories();
// Another program starts.
void ForgetWasiDirectories();

// --- shared by the handlers ---
// Of Linux's negative errno: WASI's number.
[[nodiscard]] int64_t WasiError(int64_t error);
// The name under which a descriptor was opened for the program; empty if it was not.
[[nodiscard]] std::string_view WasiDirectoryName(uint32_t descriptor);
// It is closed, or is another file from now on.
void ForgetWasiDirectory(uint32_t descriptor);
CallTable WasiFileCalls();
CallTable WasiPathCalls();
CallTable WasiProcessCalls();

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_WASI_H_
