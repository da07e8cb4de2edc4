#ifndef CORDON_CLI_EXEC_IN_SANDBOX_H_
#define CORDON_CLI_EXEC_IN_SANDBOX_H_

// `cordon exec --sandbox ID -- COMMAND`: a process in a sandbox of a daemon, with the streams or
// the terminal of this one.

#include <optional>
#include <string>
#include <vector>

namespace cordon::cli {

struct SandboxExec {
  std::string socket;
  std::optional<std::string> sandbox;    // unset: nothing is asked of a daemon
  std::string directory;                 // empty: the sandbox's
  std::string timeout;                   // as 10s; empty: none
  std::vector<std::string> environment;  // NAME=VALUE
  std::vector<std::string> argv;
  bool json = false;
  std::string report;  // file for a result; empty: none
};

// The command's exit status, or 125 with the reason on standard error. With `json` the result is on
// standard output, and what the command prints on standard error.
[[nodiscard]] int ExecInSandbox(const SandboxExec& exec);

}  // namespace cordon::cli

#endif  // CORDON_CLI_EXEC_IN_SANDBOX_H_
