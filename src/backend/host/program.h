#ifndef CORDON_BACKEND_HOST_PROGRAM_H_
#define CORDON_BACKEND_HOST_PROGRAM_H_

// Programs of the host that Cordon runs itself, without a wall: where they are looked for; and, for
// probing, run with nothing to read and little time.

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"

namespace cordon::backend {

// The caller's search path without directories that are in `project`, whose files may be hostile
// (`npm run` puts its node_modules/.bin first), and without relative ones. `project` is a real
// path; empty is none.
[[nodiscard]] std::string HostPath(const std::string& project);

// In that of the working directory, unless all of the user's is in it. Empty if there is none.
[[nodiscard]] std::string FindInPath(const std::string& name);

// Standard output and error together, at most a few KiB. An error if it cannot be started, ends
// with anything but 0 or takes longer.
[[nodiscard]] Result<std::string> RunProgram(const std::vector<std::string>& arguments,
                                             std::chrono::milliseconds patience);

// The first line that says something, printable ASCII only.
[[nodiscard]] std::string FirstLine(const std::string& text);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_HOST_PROGRAM_H_
