#ifndef CORDON_MCP_SANDBOX_REQUEST_H_
#define CORDON_MCP_SANDBOX_REQUEST_H_

// What a model asks of a sandbox, held against what the server's settings allow: it may have less,
// and is told what it may have where it asks for more. Nothing is cut down silently.

#include <expected>
#include <string>
#include <vector>

#include "mcp/settings.h"
#include "rpc/message.h"

namespace cordon::mcp {

struct SandboxRequest {
  rpc::Json create;               // parameters of the daemon's create
  std::vector<HostMount> mounts;  // that it gets as soon as it is there
};

// `arguments` are those of create_sandbox and fit its schema. The error is for the model.
[[nodiscard]] std::expected<SandboxRequest, std::string> RequestSandbox(const Settings& settings,
                                                                        const rpc::Json& arguments);
// The sandbox that is made when there is none.
[[nodiscard]] SandboxRequest RequestDefaultSandbox(const Settings& settings);

// timeout_ms, stdout_bytes and stderr_bytes of a command become parameters of the daemon's run or
// exec. Returns what is wrong with them, or nothing.
[[nodiscard]] std::string TakeCommandLimits(const Settings& settings, const rpc::Json& arguments,
                                            rpc::Json* params);

// What a model should know of the settings before it asks for anything.
[[nodiscard]] std::string DescribeBounds(const Settings& settings);

}  // namespace cordon::mcp

#endif  // CORDON_MCP_SANDBOX_REQUEST_H_
