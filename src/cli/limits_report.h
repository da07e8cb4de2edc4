#ifndef CORDON_CLI_LIMITS_REPORT_H_
#define CORDON_CLI_LIMITS_REPORT_H_

// What the user is told after a run: a line for each limit that was met, and the report file.

#include <string>

#include "backend/backend.h"
#include "backend/wasm/run.h"
#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::cli {

// "cordon: limit memory 1 GiB\n" …
[[nodiscard]] std::string LimitLines(const backend::RunReport& report,
                                     const backend::SandboxLimits& limits);
[[nodiscard]] const char* EndName(backend::End end);
// Opened before the command runs, which may put a link in its place; follows none itself.
[[nodiscard]] Result<OwnedFd> OpenReport(const std::string& path);
// JSON; docs/guide.md describes its members.
[[nodiscard]] Status WriteReport(const OwnedFd& file, const backend::RunReport& report);
// Of a plan; `network_log` is where decisions were written.
[[nodiscard]] Status WriteReport(const OwnedFd& file, const backend::PlanReport& report,
                                 const std::string& network_log);

}  // namespace cordon::cli

#endif  // CORDON_CLI_LIMITS_REPORT_H_
