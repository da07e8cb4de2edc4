#ifndef CORDON_BACKEND_WASM_PROBE_H_
#define CORDON_BACKEND_WASM_PROBE_H_

// Whether the wasm wall works on this machine: by starting a sandbox and running a pipeline in it.

#include <chrono>
#include <string>

#include "backend/wasm/family.h"
#include "base/error.h"

namespace cordon::backend {

struct WasmProbe {
  std::chrono::microseconds time{0};  // from nothing to the exit status
  Isolation isolation;
};

// An error says what does not work.
[[nodiscard]] Result<WasmProbe> ProbeWasmWall(const std::string& template_path,
                                              const std::string& userland_path);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_PROBE_H_
