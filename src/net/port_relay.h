#ifndef CORDON_NET_PORT_RELAY_H_
#define CORDON_NET_PORT_RELAY_H_

// Published ports: what connects to a port of the host's loopback is connected to a port of the
// command's. The listeners are made outside; a process inside the command's network namespace, and
// in nothing else that the command sees, takes the connections. It is the gateway's program, locked
// in as that is, and has neither a way out nor one to a file.

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned_fd.h"
#include "policy/plan.h"

namespace cordon::net {

struct PortRelayRequest {
  std::string program;  // the path of cordon-gateway
  // Of the command; the first one is entered first, and gives the right to enter the other.
  int user_namespace = -1;
  int net_namespace = -1;
};

class PortRelay {
 public:
  // The listeners, for connections from this machine alone. Before anything runs: a port that
  // somebody else has is an error.
  [[nodiscard]] static Result<PortRelay> Listen(const std::vector<policy::PortGrant>& ports);
  // Returns once connections are taken, or with the reason why not.
  [[nodiscard]] Status Start(const PortRelayRequest& request);

  PortRelay(PortRelay&&) noexcept;
  PortRelay& operator=(PortRelay&&) = delete;
  PortRelay(const PortRelay&) = delete;
  PortRelay& operator=(const PortRelay&) = delete;
  // Ends it, and with it all connections.
  ~PortRelay();

 private:
  PortRelay() = default;
  [[noreturn]] void Become(const PortRelayRequest& request, int control) const;

  pid_t pid_ = -1;
  OwnedFd control_;
  std::vector<uint16_t> ports_;  // of the command, one for each listener
  std::vector<OwnedFd> listeners_;
};

}  // namespace cordon::net

#endif  // CORDON_NET_PORT_RELAY_H_
