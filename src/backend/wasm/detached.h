#ifndef CORDON_BACKEND_WASM_DETACHED_H_
#define CORDON_BACKEND_WASM_DETACHED_H_

// What can be seen from outside of a process that asks for the memory of a copy.

#include <sys/types.h>

#include <span>

namespace cordon::backend {

// The process, which waits for an answer, has one thread, no descriptor, maps none of the files
// `live` in any way, and shares no memory but the code window (0: there is none). False also where
// that cannot be seen.
[[nodiscard]] bool IsDetached(pid_t pid, std::span<const ino_t> live, ino_t code_window);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_DETACHED_H_
