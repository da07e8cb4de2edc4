#ifndef CORDON_BACKEND_WASM_KEEPER_H_
#define CORDON_BACKEND_WASM_KEEPER_H_

// The keeper: one for a sandbox, outside the wall. Holds the client's descriptors, timers and
// limits, and the right to end everything. Trusts nothing behind the wall.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace cordon::backend {

struct SandboxLimits {
  std::optional<std::chrono::milliseconds> wall_time;
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
  std::vector<CopyRequest> copy_in;   // host to guest, before the start
  std::vector<CopyRequest> copy_out;  // guest to host, after the end
  std::string programs;               // the folder of cordon-template and userland.img
};

struct RunReport {
  int exit_code = 0;  // as the shell would see it: 124, 137, 128 + n, …
  int signal = 0;     // that ended the command, 0 if it exited
  bool timed_out = false;
  bool truncated = false;   // output was dropped
  uint32_t limits_met = 0;  // control::Limit
  uint64_t cpu_us = 0;
  uint64_t wall_us = 0;
  uint64_t processes_started = 0, processes_peak = 0;
  uint64_t memory_peak_bytes = 0;
  uint64_t input_bytes = 0, output_bytes = 0, error_bytes = 0;
};

// Runs one command in a sandbox of its own, with descriptors 0, 1 and 2 of this process as its
// streams. Nothing survives it. Errors are Cordon's own failures (exit status 125).
[[nodiscard]] Result<RunReport> RunCommand(const RunRequest& request);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_KEEPER_H_
