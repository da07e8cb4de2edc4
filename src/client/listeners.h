#ifndef CORDON_CLIENT_LISTENERS_H_
#define CORDON_CLIENT_LISTENERS_H_

// Who hears of what a daemon tells without being asked: what happens to sandboxes and to
// directories that are watched.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cordon/options.h"
#include "rpc/message.h"

namespace cordon::client {

struct SandboxHandlers {
  AuditHandler on_audit_event;
  LineHandler on_save_failed;
};

// Add, AddWatch, Inherit and Take are the reader's alone; handlers are called without the lock.
class Listeners {
 public:
  void Add(const std::string& sandbox, SandboxHandlers handlers);
  // A fork has what its origin has.
  void Inherit(const std::string& from, const std::string& to);
  void Forget(const std::string& sandbox);
  void AddWatch(uint32_t id, FileHandler handler);
  void ForgetWatch(uint32_t id);

  // A notification of the daemon; others are ignored.
  void Take(const std::string& method, const rpc::Json& params);

 private:
  using HandlersPtr = std::shared_ptr<const SandboxHandlers>;
  void AddShared(const std::string& sandbox, HandlersPtr handlers);
  void TellOfSandbox(const rpc::Json& params);

  std::mutex lock_;
  std::map<std::string, HandlersPtr> sandboxes_;
  std::map<uint32_t, std::shared_ptr<const FileHandler>> watches_;
  // Of forks, before whoever made them knows them. The reader's alone.
  std::deque<rpc::Json> early_;
};

}  // namespace cordon::client

#endif  // CORDON_CLIENT_LISTENERS_H_
