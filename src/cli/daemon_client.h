#ifndef CORDON_CLI_DAEMON_CLIENT_H_
#define CORDON_CLI_DAEMON_CLIENT_H_

// A connection to `cordon serve --unix`, for commands that ask and wait.

#include <string>

#include "base/error.h"
#include "base/owned_fd.h"
#include "rpc/message.h"

namespace cordon::cli {

class DaemonClient {
 public:
  [[nodiscard]] static Result<DaemonClient> Connect(const std::string& path);

  // The result, or the daemon's reason.
  [[nodiscard]] Result<rpc::Json> Ask(const std::string& method, const rpc::Json& params);

 private:
  explicit DaemonClient(OwnedFd socket) : socket_(std::move(socket)), lines_(kMostLine) {}
  static constexpr size_t kMostLine = size_t{64} << 20;

  OwnedFd socket_;
  rpc::LineReader lines_;
  int64_t last_id_ = 0;
};

}  // namespace cordon::cli

#endif  // CORDON_CLI_DAEMON_CLIENT_H_
