#ifndef CORDON_RPC_UNIX_LISTENER_H_
#define CORDON_RPC_UNIX_LISTENER_H_

// The daemon's socket in the file system.

#include <string>

#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::rpc {

// Whoever sees `path` can connect to it: it gets its name when it listens. For this user alone,
// from the beginning. What a daemon left behind is replaced; kInvalid: somebody answers there, or
// there is something else.
[[nodiscard]] Result<OwnedFd> ListenAt(const std::string& path);

}  // namespace cordon::rpc

#endif  // CORDON_RPC_UNIX_LISTENER_H_
