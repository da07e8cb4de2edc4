#ifndef CORDON_CLI_LIMITS_REPORT_H_
#define CORDON_CLI_LIMITS_REPORT_H_

// What the user is told after a run: how it ended, and a line for each limit that was met.

#include <cstdint>
#include <string>
#include <vector>

#include "backend/end.h"
#include "backend/wasm/run.h"

namespace cordon::cli {

// "cordon: limit memory 1 GiB\n" …
[[nodiscard]] std::string LimitLines(const backend::RunReport& report,
                                     const backend::SandboxLimits& limits);
[[nodiscard]] const char* EndName(backend::End end);
// Of bits of control::Limit.
[[nodiscard]] std::vector<std::string> LimitNames(uint32_t limits_met);

}  // namespace cordon::cli

#endif  // CORDON_CLI_LIMITS_REPORT_H_
