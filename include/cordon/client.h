#ifndef CORDON_CLIENT_H_
#define CORDON_CLIENT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cordon/sandbox.h"

namespace cordon {

// A connection to a daemon. It lives as long as this or a sandbox of it does.
class Client {
 public:
  // A daemon of its own, which ends with the connection. `program` is the `cordon` to start; empty:
  // $CORDON, or the one in the PATH.
  [[nodiscard]] static Result<Client> Start(const std::string& program = {});
  // To `cordon serve --unix`.
  [[nodiscard]] static Result<Client> Connect(const std::string& path);

  [[nodiscard]] Result<Sandbox> Create(const CreateOptions& options = {});
  // One that is detached; its end is not this object's.
  [[nodiscard]] Sandbox Open(std::string id);
  [[nodiscard]] Result<std::vector<SandboxInfo>> List();
  // From now on sandboxes of this kind wait for who creates one; returns when they are there.
  [[nodiscard]] Status FillPool(const CreateOptions& kind, const PoolSizes& sizes = {});
  // Destroys all sandboxes of this connection; a daemon of its own ends.
  [[nodiscard]] Status Kill();

  [[nodiscard]] Result<TotalUsage> GetTotalUsage();
  [[nodiscard]] Result<std::vector<SavedState>> ListSaved();
  // Refused while a sandbox has it.
  [[nodiscard]] Status DeleteSaved(const std::string& name);
  [[nodiscard]] Result<DaemonVersion> GetVersion();

 private:
  explicit Client(std::shared_ptr<client::Connection> connection)
      : connection_(std::move(connection)) {}
  std::shared_ptr<client::Connection> connection_;
};

}  // namespace cordon

#endif  // CORDON_CLIENT_H_
