#ifndef CORDON_BACKEND_WASM_FAMILY_H_
#define CORDON_BACKEND_WASM_FAMILY_H_

// A PID namespace and its init, which holds all processes of a sandbox: killing the init kills
// them, and the kernel kills the init when the keeper dies. Where namespaces may not be had, the
// family is only the children of the keeper.

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "backend/wasm/memory_files.h"
#include "base/error.h"
#include "base/owned_fd.h"

namespace cordon::backend {

// What stands between the guest processes and the host besides the filter.
struct Isolation {
  bool pid_namespace = false;
  bool user_namespace = false;
  bool mount_namespace = false;  // with an empty root
  bool net_namespace = false;
  bool ipc_namespace = false;
  bool uts_namespace = false;

  // "pid user mount …", or "none".
  [[nodiscard]] std::string ToString() const;
};

// Which namespaces are asked for; a test takes them away.
enum class Namespaces { kAll, kNone };

// What the template becomes the leader of. Of a process group in the session of its host parent,
// who can then give copies of its processes groups of their own; nobody inside can.
enum class TemplateGroup { kOwnSession, kOwnGroup };

class Family {
 public:
  Family() = default;
  Family(Family&& other) noexcept;
  Family& operator=(Family&& other) noexcept;
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  ~Family();

  // Starts the init, which shares the control page. `uid` is the user of the guests, 0 for the
  // caller's. Without namespaces there is no init and `isolation` says so.
  [[nodiscard]] static Result<Family> Start(const MemoryFiles& files, uint32_t uid,
                                            Namespaces namespaces);

  // Executes the template as a child of the caller and inside the namespaces; its process id as
  // the caller sees it.
  // `listener_socket`: where the template hands over a listener, -1 for none.
  [[nodiscard]] Result<pid_t> StartTemplate(const MemoryFiles& files, int template_fd,
                                            int userland_fd, int listener_socket = -1);

  // Starts a process inside the namespaces, as the user of the guests: a child of the caller, whose
  // memory it has and with whom it ends. `serve` does not return.
  [[nodiscard]] Result<pid_t> StartInside(const std::function<void()>& serve) const;

  // Ends all processes and reaps them. After this the family is empty.
  void Kill();

  [[nodiscard]] const Isolation& isolation() const { return isolation_; }
  [[nodiscard]] pid_t init() const { return init_; }

 private:
  pid_t init_ = -1;
  OwnedFd init_pidfd_;
  // Of the init, which nobody may look at later.
  OwnedFd user_namespace_, pid_namespace_;
  uint32_t uid_ = 0;
  OwnedFd alive_;  // one byte when the template was started; closed when the keeper is gone
  Isolation isolation_;
};

// Answers the kicker bell until the process ends, as the family init or, without one, as a thread
// of the keeper that only believes in process ids of its own children.
enum class KickScope { kNamespace, kOwnChildren };
// Those that are wanted now.
void SendKicksOnce(control::Control& page, KickScope scope);
void SendKicks(control::Control& page, KickScope scope);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_WASM_FAMILY_H_
