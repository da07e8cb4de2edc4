#ifndef CORDON_WASM_COMPILER_PROCESS_H_
#define CORDON_WASM_COMPILER_PROCESS_H_

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace cordon::wasm {

// Runs cordon-compile in service mode: no environment, no descriptors but the module, the object
// and a pipe for progress and errors. Ends it at the deadline.
struct CompilerProcess {
  std::string program;
  std::vector<std::string> arguments;
  int module_fd = -1;
  int object_fd = -1;
  std::chrono::seconds time_limit{300};
  std::function<void(size_t done, size_t total)> progress;

  // The error is the compiler's last line, or how it ended.
  [[nodiscard]] Status Run() const;

 private:
  // Its number; what it says goes to `messages`.
  [[nodiscard]] Result<pid_t> Start(int messages) const;
};

}  // namespace cordon::wasm

#endif  // CORDON_WASM_COMPILER_PROCESS_H_
