#ifndef CORDON_KERNEL_TOOL_POLICY_H_
#define CORDON_KERNEL_TOOL_POLICY_H_

// Which programs may be started here: those that the client named and the shells that run their
// commands, or all. A program is its compiled object, whatever a file is called and wherever it
// lies, so copies, links and new names are the same program. Decided in exec, after interpreter
// lines were followed, on arguments that the guest cannot change any more. Names are looked up in
// the userland before anything runs; what comes later is in the code window, and the keeper says
// there whether it came under a name that the client named.

#include <cstdint>
#include <string_view>

#include "kernel/control.h"
#include "kernel/exec.h"
#include "vfs/filesystem.h"

namespace cordon::kernel {

struct ToolPolicy;  // in the arena; null: everything may be started

// Request::kAllowTools, once, before anything was started. 0 or -errno.
[[nodiscard]] int32_t AllowTools(control::Mailbox& mailbox, uint32_t payload_bytes);

// Whether a program may be started with these arguments. One of the userland that is many programs
// is that which its first argument says.
[[nodiscard]] bool MayStart(const vfs::Program& program, const StartStrings& strings);

// Tells the keeper that `name` was not started.
void ReportDenial(std::string_view name);

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_TOOL_POLICY_H_
