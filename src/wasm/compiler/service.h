#ifndef CORDON_WASM_COMPILER_SERVICE_H_
#define CORDON_WASM_COMPILER_SERVICE_H_

// The compiler for modules that nobody vouches for: one process for one module, locked in before
// the first byte of it is looked at.

#include "base/error.h"
#include "wasm/compiler/compile.h"

namespace cordon::wasm {

struct ServiceOptions {
  int module_fd = -1;    // read to its end
  int object_fd = -1;    // written with the object
  int progress_fd = -1;  // -1: none. Lines "functions DONE TOTAL"
  uint64_t memory_bytes = uint64_t{4} << 30;
  uint32_t cpu_seconds = 600;
};

// Locks this process in, compiles, writes. Errors say why the module is refused.
[[nodiscard]] Status RunService(const ServiceOptions& service, CompileOptions options);

// No file, socket, program or process can be opened, made or signalled afterwards: memory, threads,
// and reading and writing of descriptors that are open already.
[[nodiscard]] Status LockIn(const ServiceOptions& service);

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_SERVICE_H_
