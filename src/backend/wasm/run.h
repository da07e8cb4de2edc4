#ifndef CORDON_BACKEND_WASM_RUN_H_
#define CORDON_BACKEND_WASM_RUN_H_

// One command in a sandbox of its own, from the start of the sandbox to its end.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backend/end.h"
#include "backend/wasm/family.h"
#include "backend/wasm/modules.h"
#include "base/error.h"

namespace cordon::backend {

struct SandboxLimits {
  std::optional<std::chrono::milliseconds> wall_time;
  std::optional<std::chrono::milliseconds> cpu_time;
  uint64_t memory_bytes = uint64_t{1} << 30;
  uint64_t max_processes = 256;
  uint64_t max_files = 100'000;
  uint64_t file_bytes = uint64_t{256} << 20;
  uint64_t output_bytes = uint64_t{64} << 20;  // of each stream
};

struct CopyRequest {
  std::string from;
  std::string to;
};

struct RunRequest {
  std::vector<std::string> arguments;  // argv[0] is looked up in the guest's PATH
  std::vector<std::string> environment;
  std::string directory = "/home/user";
  SandboxLimits limits;
  std::vector<Module> modules;        // on the guest's PATH
  std::vector<CopyRequest> copy_in;   // host to guest, before the start
  std::vector<CopyRequest> copy_out;  // guest to host, after the end
  std::string template_path;
  std::string userland_path;
  Namespaces namespaces = Namespaces::kAll;
  // After the end of the command all processes are killed and the kernel checks its own data; what
  // it finds is the reason of a broken end. For tests.
  bool check_kernel = false;
  // With a terminal the command's streams are one, and descriptor 0 of this process is its window.
  bool has_terminal = false;
};

struct RunReport {
  using End = backend::End;
  End end = End::kExited;
  int exit_code = 0;  // as a shell sees it: 124, 137, 128 + n, …
  int signal = 0;     // that ended the command, 0 if it exited
  std::string reason;
  std::vector<std::string> not_copied;  // what was asked to be copied out and is no file
  bool truncated = false;               // output was dropped
  uint32_t limits_met = 0;              // bits of control::Limit
  std::chrono::microseconds cpu_time{0};
  std::chrono::microseconds wall_time{0};
  uint64_t processes_started = 0;
  uint64_t processes_peak = 0;
  uint64_t memory_peak_bytes = 0;
  uint64_t file_bytes = 0;
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;
  uint64_t error_bytes = 0;
  Isolation isolation;
};

// Runs the command with descriptors 0, 1 and 2 of this process as its streams. Nothing survives it.
// SIGINT, SIGTERM, SIGHUP and SIGQUIT to this process go to the command. An error means that
// nothing ran.
[[nodiscard]] Result<RunReport> RunCommand(const RunRequest& request);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_RUN_H_
