#ifndef CORDON_CLI_RESULT_H_
#define CORDON_CLI_RESULT_H_

// What came of a run, for programs: `--json` and `--report`. The members are those of
// result_fields.def, which is where they are described.

#include <functional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/wasm/run.h"
#include "base/error.h"
#include "base/owned_fd.h"
#include "cordon/cordon.h"
#include "policy/plan.h"

namespace cordon::cli {

// One object in one line.
[[nodiscard]] std::string ResultText(const backend::RunReport& report,
                                     const std::vector<std::string>& command);
// Of a plan; `network_log` is where decisions were written.
[[nodiscard]] std::string ResultText(const backend::PlanReport& report, const policy::Plan& plan,
                                     const std::string& network_log);
// Of a command in a sandbox of a daemon.
[[nodiscard]] std::string ResultText(const CommandResult& ended,
                                     const std::vector<std::string>& command);
// Nothing ran.
[[nodiscard]] std::string ResultText(const std::vector<Error>& refusals, int exit_code);

struct InstalledLockfile {
  std::string file;
  std::string sha256;
  std::string state;
};
struct InstallResult {
  int exit_code = 0;
  std::string manager;
  std::vector<Error> refusals;
  std::vector<std::string> commands;  // the results of runs
  std::vector<InstalledLockfile> lockfiles;
};
[[nodiscard]] std::string ResultText(const InstallResult& result);

// What a run leaves for whoever asked: its result, or why there is none.
struct RunOutcome {
  std::string result;
  std::vector<Error> refusals;
};

// Runs with the command's standard output going to standard error, and prints what `run` returned
// to standard output. The exit status.
[[nodiscard]] int PrintAsJson(const std::function<std::string(int* exit_code)>& run);
// The same of a run: its result, or its refusals.
[[nodiscard]] int RunAsJson(const std::function<int(RunOutcome*)>& run);

// Opened before the command runs, which may put a link in its place; follows none itself.
[[nodiscard]] Result<OwnedFd> OpenReport(const std::string& path);
// The result's members on lines of their own.
[[nodiscard]] Status WriteReport(const OwnedFd& file, const std::string& result);

}  // namespace cordon::cli

#endif  // CORDON_CLI_RESULT_H_
